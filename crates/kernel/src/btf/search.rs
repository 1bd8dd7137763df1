//! BTF in a kernel image, where no symbol says where it is.

use memchr::memmem::Finder;
use pagehound_vmcore::VirtAddr;

use super::{Btf, BtfError, Header, LONG_HEADER, MAX_BLOB};
use crate::VirtualRead;
use crate::sweep::sweep;

/// Bytes of types below which BTF cannot be a kernel's.
const MIN_TYPES: u32 = 64 << 10;
/// Things that look like a kernel's BTF; there is one.
const MAX_CANDIDATES: usize = 16;

impl Btf {
    /// Searches `start..end`, virtual addresses of the kernel image (at most 1 GiB),
    /// for the kernel's BTF: kernels without CONFIG_KALLSYMS_ALL have no symbol
    /// `__start_BTF`. It is BTF that knows `struct page`.
    ///
    /// # Errors
    /// [`BtfError::NotFound`], or what was wrong with the last thing that began like
    /// BTF.
    pub fn search(read: &dyn VirtualRead, start: VirtAddr, end: VirtAddr) -> Result<Btf, BtfError> {
        let finder = Finder::new(&[0x9f, 0xeb, 1, 0]);
        let mut candidates = 0;
        let mut failure = None;
        let (found, unreadable) = sweep(read, start, end, LONG_HEADER as u64, |window| {
            for hit in finder.find_iter(&window.bytes) {
                let at = window.base + hit as u64;
                let header = window.bytes.get(hit..).unwrap_or_default();
                let Some(len) = Header::parse(header).ok().and_then(|h| h.plausible_len()) else {
                    continue;
                };
                if !window.own.contains(&at) || candidates == MAX_CANDIDATES {
                    continue;
                }
                candidates += 1;
                match Btf::find_in_kernel(read, VirtAddr(at), VirtAddr(at.saturating_add(len))) {
                    Ok(btf) if btf.size_of("page").is_some() => return Some(btf),
                    Ok(_) => {}
                    Err(error) => failure = Some(error),
                }
            }
            None
        });
        found.ok_or_else(|| {
            failure.unwrap_or(BtfError::NotFound {
                start,
                end,
                unreadable,
            })
        })
    }
}

impl Header {
    /// Bytes of header and sections, if these look as the kernel's build makes them:
    /// types first and not few, then strings, then perhaps layout.
    fn plausible_len(&self) -> Option<u64> {
        let (types, strings) = (self.types, self.strings);
        let fits = self.len as usize <= LONG_HEADER
            && types.0 == 0
            && types.1 >= MIN_TYPES
            && strings.0 >= types.1
            && strings.1 > 0;
        let sections = [Some(types), Some(strings), self.layout];
        let end = |(offset, len)| u64::from(offset) + u64::from(len);
        let len = u64::from(self.len) + sections.into_iter().flatten().map(end).max()?;
        Some(len).filter(|&len| fits && len <= MAX_BLOB)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Blob;
    use super::super::types::STRUCT;
    use super::*;
    use crate::VirtFault;

    /// A kernel image of one piece.
    struct Image(Vec<u8>);

    const IMAGE: u64 = 0xffff_ffff_8100_0000;

    impl VirtualRead for Image {
        fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
            let from = addr.0.wrapping_sub(IMAGE) as usize;
            let bytes = self.0.get(from..from.wrapping_add(buf.len()));
            buf.copy_from_slice(bytes.ok_or(VirtFault::NotMapped(addr))?);
            Ok(())
        }
    }

    #[test]
    fn btf_is_read_between_its_symbols() {
        let blob = device_blob_of_kernel_size();
        let mut image = vec![0xcc; 5000];
        image.extend_from_slice(&blob);
        let (start, stop) = (VirtAddr(IMAGE + 5000), VirtAddr(IMAGE + image.len() as u64));
        let image = Image(image);
        assert_eq!(
            Btf::find_in_kernel(&image, start, stop)
                .unwrap()
                .size_of("page"),
            Some(64)
        );
        let range = |start, stop| Btf::find_in_kernel(&image, start, stop).unwrap_err();
        assert_eq!(range(start, start), BtfError::Range { start, stop: start });
        assert_eq!(
            range(stop, start),
            BtfError::Range {
                start: stop,
                stop: start
            }
        );
        let far = start.add(MAX_BLOB + 1);
        assert_eq!(range(start, far), BtfError::Range { start, stop: far });
        let fault = VirtFault::NotMapped(start);
        assert_eq!(range(start, stop.add(1)), BtfError::Read { start, fault });
        assert!(matches!(
            range(VirtAddr(IMAGE), stop),
            BtfError::Header { .. }
        ));
    }

    #[test]
    fn btf_is_found_by_its_shape() {
        let blob = device_blob_of_kernel_size();
        // Something that begins like BTF, and a module's (small) BTF, come first.
        let mut image = vec![0xcc; 1 << 20];
        image[100..112].copy_from_slice(&[0x9f, 0xeb, 1, 0, 0x18, 0, 0, 0, 0, 0, 0, 0]);
        let small = Blob::new().bytes();
        image[5000..5000 + small.len()].copy_from_slice(&small);
        // Across the boundary of two windows.
        image.truncate((1 << 20) - 10);
        image.extend_from_slice(&blob);
        image.extend_from_slice(&[0; 300]);
        let end = VirtAddr(IMAGE + image.len() as u64);
        let found = Btf::search(&Image(image), VirtAddr(IMAGE), end).unwrap();
        assert_eq!(found.size_of("page"), Some(64));

        let end = VirtAddr(IMAGE + 8192);
        let error = Btf::search(&Image(vec![0; 4096]), VirtAddr(IMAGE), end).unwrap_err();
        assert_eq!(
            error,
            BtfError::NotFound {
                start: VirtAddr(IMAGE),
                end,
                unreadable: 4096
            }
        );
    }

    fn device_blob_of_kernel_size() -> Vec<u8> {
        let mut blob = Blob::new();
        for i in 0..6000 {
            blob.int(&format!("int{i}"), 4);
        }
        blob.composite("page", STRUCT, 0, 64, &[]);
        blob.bytes()
    }
}
