/// A length on a page, in thousandths of a point: whole numbers make the same pages everywhere.
pub type Length = i64;

/// Whole points.
pub const fn pt(points: i64) -> Length {
    points * 1_000
}

/// A4.
pub const WIDTH: Length = 595_276;
pub const HEIGHT: Length = 841_890;
pub const LEFT: Length = pt(48);
pub const RIGHT: Length = WIDTH - LEFT;
pub const TOP: Length = pt(48);
/// Rows end here; below is the page's foot.
pub const BOTTOM: Length = HEIGHT - pt(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

pub const INK: Colour = Colour(31, 41, 55);
pub const GREY: Colour = Colour(107, 114, 128);
pub const LINE: Colour = Colour(229, 231, 235);
pub const SOFT: Colour = Colour(243, 244, 246);
pub const ACCENT: Colour = Colour(30, 58, 95);
pub const ALERT: Colour = Colour(185, 28, 28);
pub const STAMP: Colour = Colour(251, 240, 240);
pub const WHITE: Colour = Colour(255, 255, 255);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub size: Length,
    pub weight: Weight,
    pub colour: Colour,
}

impl Style {
    pub const fn regular(size: Length, colour: Colour) -> Style {
        Style { size, weight: Weight::Regular, colour }
    }

    pub const fn bold(size: Length, colour: Colour) -> Style {
        Style { size, weight: Weight::Bold, colour }
    }

    /// From the top of a line to the top of the next.
    pub const fn line(&self) -> Length {
        self.size * 145 / 100
    }

    /// From the top of a line to its letters' feet, for capitals that stand in the middle of the line.
    pub const fn baseline(&self) -> Length {
        self.line() / 2 + self.size * 357 / 1_000
    }
}

/// Something that is drawn, with the top left corner at `x` and `y` from the page's top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// One line; `y` is the top of the line.
    Text {
        x: Length,
        y: Length,
        text: String,
        style: Style,
    },
    Bar {
        x: Length,
        y: Length,
        width: Length,
        height: Length,
        colour: Colour,
    },
    Logo {
        x: Length,
        y: Length,
        width: Length,
        height: Length,
    },
    /// Large across the page, as a picture: not part of its text.
    Stamp {
        text: String,
        style: Style,
    },
}

/// A page's marks, in the order in which they are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub marks: Vec<Mark>,
}
