//! Which known leak a finding may be: by the modules or drivers that it names, by the
//! kernel's version within its branch, and by what the pages look like.

use pagehound_kernel::{Kernel, Log};
use pagehound_known::{Backports, Basis, Found, Leak};
use pagehound_model::{
    Confidence, Content, Evidence, Finding, KnownIssue, Module, OwnerRole, State,
};

use crate::identity::named;

/// Adds to findings of lost and suspect pages the leaks on record. `loaded` are the loaded
/// modules, as far as they can be read.
pub(crate) fn name_known(
    kernel: &Kernel<'_>,
    log: &Log,
    loaded: &[Module],
    findings: &mut [Finding],
) {
    let release = kernel.vmcoreinfo.osrelease();
    let host = Host {
        kernel: pagehound_known::Kernel::of(release, &banner(kernel, log)),
        loaded,
        log,
    };
    for finding in findings {
        if matches!(finding.verdict, State::Lost | State::Suspect) {
            finding.known_issues = host.known(finding);
        }
    }
}

/// Pages that the kernel says it drops on purpose are no leak. Which they are it does not
/// say: where nobody can be named for lost pages, they may be those.
pub(crate) fn doubt_look_alikes(log: &Log, findings: &mut [Finding]) {
    let said = |text: &str| {
        let records = of_kernel(log).map(|record| String::from_utf8_lossy(record));
        records.filter(|record| record.contains(text)).count() as u64
    };
    let look_alikes = pagehound_known::look_alikes().iter();
    let dropped: Vec<(u64, String)> = look_alikes
        .filter_map(|one| {
            let text = one.log.as_deref()?;
            let lines = said(text);
            (lines > 0).then(|| {
                let commit = one.commit.as_deref().unwrap_or("no commit on record");
                let why = &one.why;
                (lines, format!("the kernel's log says \"{text}\" ({commit}): {why}; these may be such pages"))
            })
        })
        .collect();
    let unnamed = findings
        .iter_mut()
        .filter(|finding| finding.verdict == State::Lost && is_nobody_s(finding));
    for finding in unnamed {
        for (lines, text) in &dropped {
            finding.verdict = State::Suspect;
            finding.confidence = Confidence::Possible;
            finding.evidence.push(Evidence {
                kind: Evidence::LOOK_ALIKE.into(),
                checked: *lines,
                matched: *lines,
                text: text.clone(),
            });
        }
    }
}

/// The kernel's first line; where the log has lost it, the version (`uname -v`) that it
/// ends with, in which distributions name themselves and Debian its package.
pub(crate) fn banner(kernel: &Kernel<'_>, log: &Log) -> String {
    let mut banners = of_kernel(log).filter(|text| text.starts_with(BANNER));
    let banner = banners.next().map(|text| String::from_utf8_lossy(text));
    let banner = banner.map(|text| text.into_owned());
    let version = || Some(kernel.uname().ok()?.version);
    banner.or_else(version).unwrap_or_default()
}

/// Whether nobody can be named for what was found.
fn is_nobody_s(finding: &Finding) -> bool {
    finding.owners.is_empty() && finding.holders.is_empty() && named(finding).is_empty()
}

/// The machine that a leak must fit.
struct Host<'a> {
    kernel: pagehound_known::Kernel,
    loaded: &'a [Module],
    log: &'a Log,
}

impl Host<'_> {
    fn known(&self, finding: &Finding) -> Vec<KnownIssue> {
        let modules = named(finding);
        let found = found(finding);
        let leaks = pagehound_known::all().iter();
        let mut issues: Vec<KnownIssue> = leaks
            .filter_map(|leak| {
                let module = leak.modules.iter().find(|of| modules.contains(*of))?;
                let (how, but) = self.fit(leak, module, &found)?;
                Some(KnownIssue {
                    commit: leak.fix.clone(),
                    subject: leak.subject.clone(),
                    fixed_in: leak.fixed_in(),
                    r#match: how.into(),
                    but: but.into(),
                })
            })
            .collect();
        issues.sort_by_key(|issue| issue.r#match != KnownIssue::MATCHES);
        issues
    }

    /// How a leak of a module fits what was found, and why no better.
    fn fit(
        &self,
        leak: &Leak,
        module: &str,
        found: &Found<'_>,
    ) -> Option<(&'static str, &'static str)> {
        if leak.not_lost.is_some() {
            return None;
        }
        let fits = leak.mark.as_ref().is_some_and(|mark| mark.fits(found));
        match self.kernel {
            pagehound_known::Kernel::Stable(version) if leak.is_in(version) => {}
            pagehound_known::Kernel::Vendor { base, .. } if fits && leak.may_be_in(base) => {
                return Some((KnownIssue::VENDOR, "the kernel is a vendor's"));
            }
            _ => return None,
        }
        let but = match &leak.mark {
            _ if leak.backports == Backports::Unknown => {
                "which stable releases have the fix is not on record"
            }
            None => "what its pages look like is not on record for programs",
            Some(_) if !fits => "its pages look different",
            Some(mark) if !mark.is_telling() => {
                "other leaks of the same driver would look the same"
            }
            Some(_) if leak.basis == Basis::Inferred => {
                "what its pages look like follows from code, and nobody has seen it"
            }
            Some(_) => match self.is_of_the_tree(module) {
                Some(true) => return Some((KnownIssue::MATCHES, "")),
                Some(false) => "the module is not of the kernel's tree",
                None => "whether the module is of the kernel's tree is not known",
            },
        };
        Some((KnownIssue::POSSIBLE, but))
    }

    /// Whether a module is of the kernel's own tree, so that its version is the kernel's:
    /// by its taints where modules can be read, else by the log, if that is still there
    /// from the first line on (`check_modinfo()` tells it of the first such module, and
    /// none came where it tells nothing).
    fn is_of_the_tree(&self, module: &str) -> Option<bool> {
        let own = self.loaded.iter().find(|loaded| loaded.name == module);
        if let Some(own) = own {
            return Some(!own.taints.contains('O'));
        }
        // It is built in.
        if !self.loaded.is_empty() {
            return Some(true);
        }
        let is_whole = of_kernel(self.log).any(|text| text.starts_with(BANNER));
        let outside = of_kernel(self.log).any(|text| {
            String::from_utf8_lossy(text).contains("loading out-of-tree module taints kernel")
        });
        (is_whole && !outside).then_some(true)
    }
}

/// How the log of a kernel begins.
const BANNER: &[u8] = b"Linux version ";

/// Texts of the kernel's own: other facilities are written by programs.
fn of_kernel(log: &Log) -> impl Iterator<Item = &[u8]> {
    let records = log.records.iter().filter(|record| record.facility == 0);
    records.map(|record| record.text.as_slice())
}

/// What of a finding a mark speaks of.
fn found(finding: &Finding) -> Found<'_> {
    let macs = finding
        .owners
        .iter()
        .filter_map(|owner| owner.mac.as_deref());
    let macs: Vec<String> = macs.map(|mac| mac.replace(':', "")).collect();
    let frames = finding.patterns.iter();
    let frames = frames.filter(|pattern| macs.iter().any(|mac| pattern.hex.starts_with(mac)));
    Found {
        content: match finding.content {
            Content::Ethernet => Some(pagehound_known::Content::Ethernet),
            _ => None,
        },
        received: finding
            .owners
            .iter()
            .any(|owner| owner.role == Some(OwnerRole::Destination)),
        offsets: frames.map(|pattern| pattern.offset).collect(),
        order: finding.order,
        caches: finding
            .holders
            .iter()
            .map(|holder| holder.name.as_str())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{log, lost_frames};
    use pagehound_known::Kernel;
    use pagehound_model::Allocator;

    /// How the leaks on record fit what was found on a kernel whose modules cannot be
    /// read, and whose log is whole; by commit.
    fn fits(release: &str, finding: &Finding) -> Vec<(String, String)> {
        let log = log(&["Linux version and so on"]);
        fits_with(release, &[], &log, finding)
    }

    fn fits_with(
        release: &str,
        loaded: &[Module],
        log: &Log,
        finding: &Finding,
    ) -> Vec<(String, String)> {
        let kernel = Kernel::of(release, "");
        let host = Host {
            kernel,
            loaded,
            log,
        };
        let issues = host.known(finding).into_iter();
        issues.map(|issue| (issue.commit, issue.r#match)).collect()
    }

    fn one(commit: &str, how: &str) -> (String, String) {
        (commit.to_owned(), how.to_owned())
    }

    #[test]
    fn the_case_that_started_it_is_known_and_its_mend_too() {
        let i40e = lost_frames("i40e", &[0, 192, 2240]);
        let matches = [one("2b9478ffc550", KnownIssue::MATCHES)];
        assert_eq!(fits("4.13.9", &i40e), matches);
        assert_eq!(fits("4.14.1", &i40e), []);
        assert_eq!(fits("4.11.12", &i40e), []);
        // Another mark: the kernel alone says little.
        let elsewhere = lost_frames("i40e", &[64]);
        let possible = [one("2b9478ffc550", KnownIssue::POSSIBLE)];
        assert_eq!(fits("4.13.9", &elsewhere), possible);
        // Another driver.
        assert_eq!(fits("4.13.9", &lost_frames("ixgbe", &[0])), []);
    }

    #[test]
    fn a_driver_stands_for_its_module_where_that_is_not_known() {
        let by_driver = |driver: &str, release: &str| {
            let mut finding = lost_frames(driver, &[0]);
            for owner in &mut finding.owners {
                owner.module = None;
            }
            fits(release, &finding)
        };
        let matches = [one("2b9478ffc550", KnownIssue::MATCHES)];
        assert_eq!(by_driver("i40e", "4.13.9"), matches);
        assert_eq!(by_driver("ixgbe", "4.13.9"), []);
        // drivers/net/virtio_net.c could as well be virtio-net.
        let virtio = by_driver("virtio-net", "5.14.1");
        assert!(virtio.iter().any(|(commit, _)| commit == "afd92d82c9d7"));
        // What is known of a module is not doubted for its driver's name.
        let mut other = lost_frames("i40e", &[0]);
        other.owners[0].module = Some("i40e_of_somebody".into());
        assert_eq!(fits("4.13.9", &other), []);
    }

    #[test]
    fn of_a_vendor_s_kernel_the_version_says_nothing() {
        let vendor = [one("2b9478ffc550", KnownIssue::VENDOR)];
        let i40e = lost_frames("i40e", &[0]);
        let rhel = fits("3.10.0-862.el7.x86_64", &i40e);
        assert!(rhel.starts_with(&vendor), "{rhel:?}");
        assert!(rhel.iter().all(|(_, how)| how == KnownIssue::VENDOR));
        // It began as 4.18, which has what 4.14 has.
        let rhel = fits("4.18.0-147.el8.x86_64", &i40e);
        assert!(!rhel.contains(&vendor[0]), "{rhel:?}");
        assert_eq!(fits("next", &i40e), []);
    }

    #[test]
    fn the_kernel_s_version_is_not_that_of_a_module_from_outside() {
        let finding = lost_frames("i40e", &[0]);
        let module = |taints: &str| Module {
            name: "i40e".into(),
            version: Some("2.22.20".into()),
            srcversion: None,
            build_id: None,
            taints: taints.into(),
        };
        let possible = [one("2b9478ffc550", KnownIssue::POSSIBLE)];
        let matches = [one("2b9478ffc550", KnownIssue::MATCHES)];
        let empty = Log::default();
        let with = |taints| fits_with("4.13.9", &[module(taints)], &empty, &finding);
        assert_eq!(with("OE"), possible);
        assert_eq!(with("E"), matches);
        // Where modules cannot be read, the log must speak for them from its first line on.
        let by_log = |lines: &[&str]| fits_with("4.13.9", &[], &log(lines), &finding);
        assert_eq!(by_log(&["i40e: whatever"]), possible);
        assert_eq!(by_log(&["Linux version 4.13.9"]), matches);
        let mut forged = log(&["Linux version 4.13.9"]);
        forged.records[0].facility = 1;
        assert_eq!(fits_with("4.13.9", &[], &forged, &finding), possible);
        let outside = "zfs: loading out-of-tree module taints kernel.";
        assert_eq!(by_log(&["Linux version 4.13.9", outside]), possible);
    }

    #[test]
    fn a_driver_s_frames_alone_are_no_mark_of_one_leak() {
        let ice = lost_frames("ice", &[0]);
        let ice: Vec<_> = fits("6.14.3", &ice);
        assert_eq!(ice, [one("84bf1ac85af8", KnownIssue::POSSIBLE)]);
        // Frames that the device has sent are no lost receive buffers.
        let mut sent = lost_frames("i40e", &[0]);
        sent.owners[0].role = Some(OwnerRole::Source);
        let possible = [one("2b9478ffc550", KnownIssue::POSSIBLE)];
        assert_eq!(fits("4.13.9", &sent), possible);
    }

    /// Whatever is found: no two leaks are said to be it.
    #[test]
    fn no_two_marks_fit_the_same_finding() {
        for leak in pagehound_known::all() {
            let offsets = leak.mark.as_ref().map_or(&[][..], |mark| &mark.offsets);
            for module in &leak.modules {
                for start in leak.ranges.iter().filter_map(|range| range.start) {
                    let found = fits(&start.to_string(), &lost_frames(module, offsets));
                    let matches = found.iter().filter(|(_, how)| how == KnownIssue::MATCHES);
                    assert!(matches.count() <= 1, "{module} on {start}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn who_allocated_the_pages_names_the_module_too() {
        let mut finding = lost_frames("e1000", &[0]);
        finding.owners.clear();
        assert_eq!(fits("6.14.3", &finding), []);
        finding.allocators = vec![Allocator {
            function: "ice_alloc_mapped_page".into(),
            module: Some("ice".into()),
            source: Allocator::ALLOCATION_TAGS.into(),
            pages: 8,
            looked_at: 8,
            stack: Vec::new(),
            file: None,
            line: None,
        }];
        let ice = one("84bf1ac85af8", KnownIssue::POSSIBLE);
        assert!(fits("6.14.3", &finding).contains(&ice));
        assert!(!fits("6.17.1", &finding).contains(&ice));
    }

    #[test]
    fn what_the_kernel_drops_on_purpose_is_no_leak() {
        let mut nobodys = lost_frames("e1000", &[0]);
        nobodys.owners.clear();
        let findings = [nobodys, lost_frames("e1000", &[0])];
        for one in pagehound_known::look_alikes() {
            let Some(text) = &one.log else { continue };
            let mut doubted = findings.clone();
            doubt_look_alikes(
                &log(&[&format!("driver 0000:01:00.0: {text} -5")]),
                &mut doubted,
            );
            assert_eq!(doubted[0].verdict, State::Suspect, "{}", one.name);
            let evidence = &doubted[0].evidence[0];
            assert_eq!(evidence.kind, Evidence::LOOK_ALIKE);
            assert!(evidence.text.contains(text.as_str()), "{}", evidence.text);
            // Frames that a device received are nothing of the kind.
            assert_eq!(doubted[1], findings[1]);
            // What a program writes to the log proves nothing.
            let mut same = findings.clone();
            let mut log = log(&[text]);
            log.records[0].facility = 1;
            doubt_look_alikes(&log, &mut same);
            assert_eq!(same, findings);
        }
        let texts = pagehound_known::look_alikes().iter();
        assert_eq!(texts.filter(|one| one.log.is_some()).count(), 4);
    }

    #[test]
    fn what_is_not_lost_by_the_list_is_never_named() {
        let log = Log::default();
        let ice = pagehound_known::all()
            .iter()
            .find(|leak| leak.fix == "84bf1ac85af8")
            .unwrap();
        let host = Host {
            kernel: Kernel::of("6.14.3", ""),
            loaded: &[],
            log: &log,
        };
        let finding = lost_frames("ice", &[0]);
        assert!(host.fit(ice, "ice", &found(&finding)).is_some());
        let counter = Leak {
            not_lost: Some(pagehound_known::NotLost::Counter),
            ..ice.clone()
        };
        assert_eq!(host.fit(&counter, "ice", &found(&finding)), None);
    }
}
