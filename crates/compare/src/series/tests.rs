use super::*;
use crate::testing::{healthy, report};
use pagehound_model::{Counter, Explained};

/// The host at each hour, with so many pages of these classes; `free` takes the rest.
fn moments(pages: &[&[(&str, u64)]]) -> Vec<Report> {
    let hours = pages.iter().enumerate();
    hours
        .map(|(hour, pages)| moment(hour as i64 * 3600, pages))
        .collect()
}

fn moment(seconds: i64, pages: &[(&str, u64)]) -> Report {
    let mut report = healthy();
    let at = Timestamp::from_second(1_700_000_000 + seconds).unwrap();
    report.host.captured_at = Some(at.to_string());
    report.target.path = format!("{seconds}.json");
    for (class, wanted) in pages {
        let [to, free] = [*class, "free"].map(|class| {
            report
                .ledger
                .iter()
                .position(|row| row.class == class)
                .unwrap()
        });
        let more = i128::from(*wanted) - i128::from(report.ledger[to].pages);
        report.ledger[to].pages = *wanted;
        report.ledger[free].pages =
            u64::try_from(i128::from(report.ledger[free].pages) - more).unwrap();
        for row in &mut report.ledger {
            row.bytes = row.pages * 4096;
        }
    }
    report
}

fn row<'a>(series: &'a Series, name: &str) -> &'a Trend {
    series.rows.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn planted_growth_is_found_with_its_rate_and_its_end() {
    let growing: Vec<Vec<(&str, u64)>> = (0..6)
        .map(|hour| {
            vec![
                ("anonymous", 10_000 + hour * 1000),
                ("slab", 5000 + hour % 2 * 100),
            ]
        })
        .collect();
    let rows: Vec<&[(&str, u64)]> = growing.iter().map(Vec::as_slice).collect();
    let mut reports = moments(&rows);
    // In whatever order they are given.
    reports.swap(0, 4);
    let found = series(&reports).unwrap();
    let anonymous = row(&found, "anonymous");
    assert_eq!(found.rows[0], *anonymous);
    assert!(anonymous.grows && found.matters);
    // One order of 720.
    assert!((anonymous.p_value.unwrap() - 1.0 / 720.0).abs() < 1e-12);
    assert_eq!(anonymous.bytes_per_hour, Some(1000.0 * 4096.0));
    assert_eq!(anonymous.change_bytes, 5000 * 4096);
    assert_eq!(anonymous.bytes[0], Some(10_000 * 4096));
    assert!(!row(&found, "slab").grows && !row(&found, "free").grows);
    let end = found.exhausted.as_ref().unwrap();
    assert_eq!(end.classes, ["anonymous"]);
    let last = moment(0, growing[5].as_slice());
    let free = last
        .ledger
        .iter()
        .filter(|row| GIVEN_BACK.contains(&row.class.as_str()));
    let free: u64 = free.map(|row| row.bytes).sum();
    assert_eq!(end.left_bytes, free);
    assert!((end.hours - free as f64 / (1000.0 * 4096.0)).abs() < 1e-9);
    assert_eq!((found.hours, found.reboots), (5.0, 0));
}

/// What moves without growing is said to grow as often as the test promises.
#[test]
fn noise_is_rarely_said_to_grow() {
    let mut random = fastrand::Rng::with_seed(7);
    for count in [4, 6, 10] {
        let (mut grew, tried) = (0, 1000);
        for _ in 0..tried {
            let noise: Vec<[(&str, u64); 1]> = (0..count)
                .map(|_| [("anonymous", random.u64(10_000..20_000))])
                .collect();
            let rows: Vec<&[(&str, u64)]> = noise.iter().map(<[_; 1]>::as_slice).collect();
            let found = series(&moments(&rows)).unwrap();
            grew += u32::from(row(&found, "anonymous").grows);
        }
        // 5 %, and three standard deviations of a thousand draws.
        assert!(grew <= 50 + 21, "{grew} of {tried} at {count} moments");
        // A test that never says it grows is none: 4.2 % of four rise by chance.
        assert!(grew >= 10, "{grew} of {tried} at {count} moments");
    }
}

#[test]
fn a_reboot_between_begins_anew() {
    let mut reports = Vec::new();
    for (boot, start) in [("a", 0), ("b", 10)] {
        for hour in 0..4 {
            let mut report = moment(
                (start + hour) * 3600,
                &[("anonymous", 10_000 + hour as u64 * 1000)],
            );
            report.host.boot_id = Some(boot.to_owned());
            reports.push(report);
        }
    }
    let found = series(&reports).unwrap();
    let anonymous = row(&found, "anonymous");
    assert_eq!((found.reboots, found.hours), (1, 6.0));
    assert_eq!(found.moments[3].boot, 1);
    assert_eq!(found.moments[4].boot, 2);
    // Two boots that each rise: one order of 24 times 24. As one they would fall between.
    assert!((anonymous.p_value.unwrap() - 1.0 / 576.0).abs() < 1e-12);
    assert_eq!(anonymous.bytes_per_hour, Some(1000.0 * 4096.0));
    assert_eq!(anonymous.change_bytes, 3000 * 4096);
}

#[test]
fn losses_that_grow_matter_however_little_it_is() {
    let mut reports = Vec::new();
    for hour in 0..4u64 {
        let mut report = report();
        let at = Timestamp::from_second(1_700_000_000 + hour as i64 * 3600).unwrap();
        report.host.captured_at = Some(at.to_string());
        report.findings.truncate(1);
        report.findings[0].pages += hour;
        reports.push(report);
    }
    let found = series(&reports).unwrap();
    assert_eq!(found.rows[0].sort, Sort::Finding);
    assert!(found.rows[0].grows && found.matters);
    // A loss that was not there at first is nothing there.
    reports[0].findings.clear();
    let found = series(&reports).unwrap();
    assert_eq!(found.rows[0].bytes[0], Some(0));
}

#[test]
fn what_is_not_told_is_not_nothing() {
    let mut reports = moments(&[&[], &[], &[], &[], &[]]);
    for (hour, report) in reports.iter_mut().enumerate().skip(1) {
        report.explained.push(Explained {
            class: "slab".into(),
            name: "cache x".into(),
            owner: None,
            bytes: hour as u64,
            at_most: false,
            source: "slabinfo".into(),
        });
    }
    let found = series(&reports).unwrap();
    let part = row(&found, "cache x");
    assert_eq!(part.bytes, [None, Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(
        (part.change_bytes, part.within.as_deref()),
        (3, Some("slab"))
    );
    assert!(part.grows && !found.matters);
    // A file that was not given at one moment: the class is raw at all.
    let mut reports = moments(&[&[], &[], &[], &[]]);
    for (hour, report) in reports.iter_mut().enumerate() {
        report.target.format = "meminfo".into();
        report.verdict = pagehound_model::Verdict::Incomplete;
        let of_file = report
            .ledger
            .iter_mut()
            .find(|row| row.class == "slab")
            .unwrap();
        of_file.counter = Some(Counter {
            name: "vmstat nr_x".into(),
            pages: of_file.pages,
        });
        if hour == 2 {
            let pages = of_file.pages;
            report.ledger.retain(|row| row.class != "slab");
            let raw = report
                .ledger
                .iter_mut()
                .find(|row| row.class == "raw")
                .unwrap();
            raw.pages += pages;
            raw.bytes = raw.pages * 4096;
        }
    }
    let found = series(&reports).unwrap();
    assert_eq!(found.rows, [], "{:?}", found.notes);
    let note = "not all tell slab: there it is among the raw pages";
    let mut notes = found.notes.iter();
    assert!(notes.any(|of| of.starts_with(note)), "{:?}", found.notes);
}

#[test]
fn what_is_no_series_is_refused_in_one_line() {
    let mut reports = moments(&[&[], &[], &[]]);
    assert_eq!(series(&reports[..2]), Err(NoSeries::Count(2)));
    // A copy counts once.
    let copies = [&reports[..2], &reports[..1]].concat();
    assert_eq!(series(&copies), Err(NoSeries::Count(2)));
    let mut other = reports.clone();
    other[1].host.name = Some("db9".into());
    other[1].host.boot_id = None;
    let error = series(&other).unwrap_err().to_string();
    assert!(
        error.starts_with("0.json is of db8, 3600.json of db9: a series is of one host"),
        "{error}"
    );
    let mut unknown = reports.clone();
    for report in &mut unknown {
        (report.host.name, report.host.boot_id) = (None, None);
    }
    assert!(matches!(series(&unknown), Err(NoSeries::Unknown(..))));
    reports[2].host.captured_at = None;
    let error = series(&reports).unwrap_err().to_string();
    assert!(
        error.starts_with("7200.json: does not tell when it was; give"),
        "{error}"
    );
    assert!(!error.contains('\n'));
}
