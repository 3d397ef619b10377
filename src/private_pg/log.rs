//! The log file of PostgreSQL.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::{PrivatePgError, io_error};

const ROTATE_ABOVE: u64 = 10 * 1024 * 1024;
const TAIL_BYTES: u64 = 8 * 1024;
const TAIL_LINES: usize = 8;

/// The log of one run: the end of the file from where that run began.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file: File,
    begin: u64,
}

impl Log {
    pub(super) fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("postgres.log")
    }

    /// Opens the log for appending; a large one is put aside first.
    pub(super) fn open(data_dir: &Path) -> Result<Self, PrivatePgError> {
        let path = Self::path(data_dir);
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > ROTATE_ABOVE) {
            let old = path.with_extension("log.1");
            fs::rename(&path, old).map_err(io_error("rename", &path))?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let begin = file.metadata().map_err(io_error("look at", &path))?.len();
        Ok(Self { path, file, begin })
    }

    /// The last lines of this run, on one line.
    pub(super) fn tail(&self) -> String {
        self.read_tail().map_or_else(|error| error.to_string(), |text| one_line(&text))
    }

    fn read_tail(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from.max(self.begin)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The last lines of a program's output, joined by ` | `.
pub(super) fn one_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let skip = lines.len().saturating_sub(TAIL_LINES);
    lines.get(skip..).unwrap_or_default().join(" | ")
}
