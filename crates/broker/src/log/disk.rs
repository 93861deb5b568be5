//! The few calls of the operating system that the log is made of: reading and writing at a position, and replacing a
//! small file as a whole.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::Path;

use bytes::{Buf, BufMut};
use rustix::fd::AsFd;
use rustix::io::Errno;

use super::error::LogError;

/// The largest file that [`read_framed`] takes in.
const LARGEST_FRAMED_BYTES: u64 = 256 << 20;
/// Magic, version, length and checksum.
const FRAME_HEADER_BYTES: usize = 4 + 2 + 4 + 4;
/// How many slices one call may write (`IOV_MAX`).
const SLICES_PER_CALL: usize = 1024;

/// Appends up to `length` bytes from `position` of a file to `buffer`, fewer only at the end of the file. The buffer's
/// new part is not cleared before it is read into.
pub(crate) fn read_at(
    file: impl AsFd,
    buffer: &mut Vec<u8>,
    length: usize,
    mut position: u64,
) -> io::Result<()> {
    // A reservation that is not exact could let the call read more than was asked for.
    let end = buffer.len() + length;
    buffer.reserve_exact(length);
    while buffer.len() < end {
        match rustix::io::pread(file.as_fd(), rustix::buffer::spare_capacity(buffer), position) {
            Ok(0) => break,
            Ok(count) => position += count as u64,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(end);
    Ok(())
}

/// Writes all of `bytes` at `position`.
pub(crate) fn write_at(file: impl AsFd, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file.as_fd(), bytes, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                position += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes all slices, one after the other, at `position`.
pub(crate) fn write_slices_at(
    file: impl AsFd,
    mut slices: &mut [IoSlice<'_>],
    mut position: u64,
) -> io::Result<()> {
    while !slices.is_empty() {
        let count = slices.len().min(SLICES_PER_CALL);
        match rustix::io::pwritev(file.as_fd(), &slices[..count], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                position += count as u64;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Replaces a file as a whole, so that it is the old one or the new one whenever the process is killed. The payload is
/// framed: magic, version, length, CRC32C of version and payload, payload.
pub(crate) fn write_framed(
    path: &Path,
    magic: [u8; 4],
    version: u16,
    payload: &[u8],
    sync: bool,
) -> Result<(), LogError> {
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
    bytes.put_slice(&magic);
    bytes.put_u16(version);
    bytes.put_u32(payload.len() as u32);
    bytes.put_u32(frame_crc(version, payload));
    bytes.put_slice(payload);
    let temporary = path.with_extension("tmp");
    let write = || {
        let file = File::create(&temporary)?;
        write_at(&file, &bytes, 0)?;
        if sync {
            file.sync_all()?;
        }
        drop(file);
        fs::rename(&temporary, path)?;
        if sync {
            sync_directory_of(path)?;
        }
        Ok::<_, io::Error>(())
    };
    write().map_err(LogError::io("replace", path))
}

/// Reads what [`write_framed`] wrote; `None` if the file is missing, cut or damaged.
pub(crate) fn read_framed(path: &Path, magic: [u8; 4], known: u16) -> Result<Option<Vec<u8>>, LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", path)(error)),
    };
    let length = file.metadata().map_err(LogError::io("read the size of", path))?.len();
    if length > LARGEST_FRAMED_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    read_at(&file, &mut bytes, length as usize, 0).map_err(LogError::io("read", path))?;
    let mut header = bytes.as_slice();
    if header.len() < FRAME_HEADER_BYTES || header[..4] != magic {
        return Ok(None);
    }
    header.advance(4);
    let version = header.get_u16();
    let (length, crc) = (header.get_u32(), header.get_u32());
    if header.len() != length as usize || frame_crc(version, header) != crc {
        return Ok(None);
    }
    if version > known {
        return Err(LogError::NewerFormat { path: path.to_path_buf(), found: version, known });
    }
    bytes.drain(..FRAME_HEADER_BYTES);
    Ok(Some(bytes))
}

/// The checksum covers the version too: a damaged one must not look like a newer one.
fn frame_crc(version: u16, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version.to_be_bytes()), payload)
}

/// Makes the names in the directory of `path` survive a loss of power.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file that may be missing.
pub(crate) fn remove(path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
