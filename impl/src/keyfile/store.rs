//! Files on the disk: read whole, made with the right mode, replaced in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyFileError;

/// Largest file that is read, in bytes. Our bound; a `known_hosts` of a hundred thousand hosts is
/// smaller.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The bytes of a file; it may hold secrets, so they are wiped.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let file = File::open(path).map_err(KeyFileError::io(path))?;
    let length = file.metadata().map_or(0, |data| data.len());
    // In one piece, lest growing leave copies behind.
    let capacity = usize::try_from(length.min(FILE_BYTES_MAX)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(KeyFileError::io(path))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(KeyFileError::malformed(
            path,
            format_args!("has more than {FILE_BYTES_MAX} bytes"),
        )),
        false => Ok(bytes),
    }
}

/// As [`read`]; a file that is not there is empty.
pub(super) fn read_if_there(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    match read(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Zeroizing::default())
        }
        read => read,
    }
}

/// Makes a file; never over an existing one, and never half of one.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path).map_err(KeyFileError::io(path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| {
            let _ = fs::remove_file(path);
            KeyFileError::io(path)(source)
        })
}

/// Puts a file into the place of another in one step: whatever happens, one of both is there whole.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    // Through a link to the file itself, which would otherwise be cut off from its other names.
    let path = fs::canonicalize(path).map_err(KeyFileError::io(path))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = Path::new(&name);
    write_new(beside, text, mode)?;
    fs::rename(beside, &path).map_err(|source| {
        let _ = fs::remove_file(beside);
        KeyFileError::Io { path, source }
    })
}
