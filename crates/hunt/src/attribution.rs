//! Whose: from an address in a fingerprint to the device and its driver.
use pagehound_kernel::Kernel;
use pagehound_model::Owner;
pub struct Attribution;
impl Attribution {
    pub fn of(_: &Kernel<'_>) -> Self { Self }
    pub fn owners(&self, _: [u8; 6]) -> Vec<Owner> { vec![] }
    pub fn evidence(&self, _: [u8; 6]) -> Vec<String> { vec![] }
}
