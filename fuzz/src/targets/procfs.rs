//! Each grammar of `/proc` and `/sys` text.

use pagehound_procfs as procfs;

/// Looks at all rows; there is none after an error.
fn drain<T>(rows: procfs::Rows<'_, T>, mut see: impl FnMut(&T)) {
    let mut errors = 0;
    for row in rows {
        assert_eq!(errors, 0, "a row after an error");
        match row {
            Ok(row) => see(&row),
            Err(error) => {
                assert!(error.line > 0 && error.content.len() <= 300, "{error}");
                errors += 1;
            }
        }
    }
}

pub(crate) fn run(text: &[u8]) {
    if let Ok(info) = procfs::meminfo(text) {
        for field in &info.fields {
            assert!(info.kb(field.name).is_some() || info.count(field.name).is_some());
        }
    }
    if let Ok(zones) = procfs::zoneinfo(text) {
        for zone in &zones {
            let _ = zone.stat("nr_zspages");
        }
    }
    drain(procfs::vmallocinfo(text), |area| {
        let _ = (area.function(), area.nodes().count());
    });
    drain(procfs::buddyinfo(text), |zone| {
        let _ = zone.pages();
    });
    drain(procfs::slabinfo(text), |cache| {
        let _ = cache.pages();
    });
    drain(procfs::modules(text), |module| {
        let _ = module.used_by().count();
    });
    drain(procfs::vmstat(text), |_| {});
    let _ = procfs::vmstat_value(text, "nr_free_pages");
    drain(procfs::allocinfo(text), |site| {
        assert!(!site.function.is_empty());
    });
    let mut resources = Vec::new();
    for resource in procfs::iomem(text).map_while(Result::ok) {
        assert!(resource.start <= resource.end);
        resources.push(resource);
    }
    let _ = procfs::addresses_hidden(&resources);
    let mut errors = 0;
    for row in procfs::page_owner(text) {
        assert_eq!(errors, 0, "a row after an error");
        match row {
            Ok(row) => assert!(row.stack().count() <= text.len()),
            Err(_) => errors += 1,
        }
    }
    drain(procfs::mountinfo(text), |mount| {
        assert!(mount.point.len() <= text.len() && !mount.device.is_empty());
    });
    if let Ok(segments) = procfs::sysvipc_shm(text) {
        assert!(segments.len() <= text.len());
    }
    let _ = (procfs::first_chunk(text), procfs::kernel_image_kb(text));
    let _ = procfs::sockstat(text);
    let _ = procfs::kstat(text, "size");
    let lossy = String::from_utf8_lossy(text);
    assert!(procfs::parse_processes(&lossy) <= lossy.len() + 2);
    let _ = procfs::cpulist_count(&lossy);
    let _ = procfs::version(text);
    let _ = procfs::lockdown(text);
    if let Some(place) = procfs::vmcoreinfo_place(text) {
        assert!(place.start < place.end);
    }
    let _ = procfs::looks_like_meminfo(text);
    if let Ok(name) = std::str::from_utf8(text) {
        let _ = procfs::pool_page_size(name);
    }
    let sections = procfs::sections(text).map(|part| part.text.len());
    assert!(sections.sum::<usize>() <= text.len());
}
