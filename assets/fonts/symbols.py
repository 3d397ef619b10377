"""Makes DejaVuSans-Symbols.ttf: the signs of DejaVu Sans that the other fonts here lack.

    pip install fonttools && python symbols.py /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

HERE = Path(__file__).parent
BLOCKS = [(0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2150, 0x22FF),
          (0x2460, 0x24FF), (0x2500, 0x27BF)]


def characters(path):
    return set(TTFont(path, lazy=True).getBestCmap())


there = characters(HERE / "NotoSans-Regular.ttf") | characters(HERE / "DroidSansFallbackFull.ttf")
wanted = {code for first, last in BLOCKS for code in range(first, last + 1)} - there
options = Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=["*"], recalc_timestamp=False)
options.drop_tables += ["FFTM"]
font = TTFont(sys.argv[1], recalcTimestamp=False)
subsetter = Subsetter(options)
subsetter.populate(unicodes=wanted)
subsetter.subset(font)
font.save(HERE / "DejaVuSans-Symbols.ttf")
print(len(font.getBestCmap()), "characters")
