use pagehound_hunt::census::*;
use pagehound_kernel::*;
use pagehound_vmcore::*;
use std::collections::*;
use std::sync::atomic::AtomicBool;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let truth = std::fs::read_to_string(path.replace(".kdump", ".truth.txt")).unwrap_or_default();
    let mut planted: HashMap<u64, u32> = HashMap::new();
    let mut on = false;
    for l in truth.lines() {
        if l.starts_with("== planted") { on = true; continue }
        if l.starts_with("==") { on = false }
        if on { let v: Vec<u64> = l.split_whitespace().filter_map(|x| x.parse().ok()).collect(); if v.len() == 3 { for i in 0..(1u64 << v[2]) { planted.insert(v[0] + i, v[1] as u32); } } }
    }
    let t = std::time::Instant::now();
    let dump = pagehound_vmcore::open(path.as_ref()).unwrap();
    let k = Kernel::open(&dump, Options::default()).unwrap();
    let p = Pages::of(&k).unwrap();
    eprintln!("pages {:?}", t.elapsed());
    let cancel = AtomicBool::new(false);
    let mut without = Without::default();
    for a in std::env::args().skip(2) { match a.as_str() { "roots" => without.roots = true, "bars" => without.bars = true, "ps" => without.page_struct = true, "content" => without.content = true, "split" => without.split = true, _ => {} } }
    let run = Run { progress: &pagehound_scan::NoProgress, cancel: &cancel, threads: None, without };
    let c = Census::run(&k, &p, &run);
    eprintln!("census {:?} control {:?} missing {} read {}", t.elapsed(), c.control, c.missing, c.bytes_read);
    let mut lost: BTreeMap<String, u64> = BTreeMap::new();
    let mut vias: BTreeMap<String, u64> = BTreeMap::new();
    let mut extra = vec![];
    for class in [Class::Raw, Class::Detached] { for h in p.map.heads(class) {
        let u = p.map.unit(h);
        let kind = planted.get(&h.0).copied().unwrap_or(0);
        let fate = c.fate(&p, h);
        *lost.entry(format!("{class:?} {fate:?} kind{kind}")).or_default() += u.len();
        if fate == Fate::Orphan && kind == 0 { extra.push(h); }
        if fate == Fate::Held { let v = match c.via(h) { Some(Via::Root(at)) => format!("Root {:?}", p.map.class(at.pfn(12))), Some(v) => format!("{v:?}").split('(').next().unwrap().to_string(), None => "none".into() }; *vias.entry(format!("{v} kind{kind}")).or_default() += u.len(); }
    } }
    println!("{lost:#?}\n{vias:#?}");
    for (pfn, kind) in &planted { if [4,5,6].contains(kind) { let c = p.map.class(Pfn(*pfn)); *vias.entry(format!("class {c:?} kind{kind}")).or_default() += 1; } }
    println!("{:?}", vias.iter().filter(|(k,_)| k.starts_with("class")).collect::<Vec<_>>());
    let mut shown = 0;
    let mut buf = vec![0; 4096];
    for h in extra { let ok = dump.memory.read_page(h, &mut buf); let words: Vec<String> = buf[..24].iter().map(|b| format!("{b:02x}")).collect();
        if truth.contains("bond-leak") || (ok.is_ok() && buf[..3] == [0x24,0x6e,0x96]) { continue }
        let u = p.map.unit(h); shown += 1; if shown < 60 { println!("{:#x} len {} comp {} {:?} {}", h.0, u.len(), p.map.is_compound(h), ok.map_err(|e| e.reason), words.join("")); } }
    println!("extras not frames: {shown}");
}
