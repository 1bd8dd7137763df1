//! Whose: from an address in a fingerprint to the device and its driver.
use pagehound_kernel::Kernel;
use pagehound_model::Owner;
pub(crate) struct Attribution;
impl Attribution {
    pub(crate) fn of(_: &Kernel<'_>) -> Self {
        Self
    }
    pub(crate) fn owners(&self, _: [u8; 6]) -> Vec<Owner> {
        vec![]
    }
    pub(crate) fn evidence(&self, _: [u8; 6]) -> Vec<String> {
        vec![]
    }
    pub(crate) fn addresses(&self) -> Vec<[u8; 6]> {
        vec![]
    }
}
