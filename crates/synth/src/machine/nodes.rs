//! The node, its zones and their free pages (`include/linux/mmzone.h`,
//! `mm/page_alloc.c`), and its LRU lists.

use std::ops::Range;

use super::addresses::PAGE;
use super::build::{Build, FRAMES};
use super::memmap::{DMA32, StructPage};
use super::variables::CPUS;

/// Orders of free blocks (`MAX_ORDER`), and lists of each (`MIGRATE_TYPES`, the last
/// for isolated pages).
const ORDERS: u64 = 11;
const TYPES: u64 = 5;

/// Where in a CPU's unit lie the page lists of the zones (`struct per_cpu_pageset`,
/// 128 bytes each) and the differences of the node's counters.
const PAGESETS: u64 = 0x1_8000;
const NODE_DIFFERENCES: u64 = 0x1_9000;
/// Free pages on each CPU's list.
const ON_CPU: usize = 31;

impl Build {
    /// Places the node and its zones, and gives all that is free to them. What is
    /// taken at boot or allocated has to be by now.
    pub(super) fn place_node(&mut self) {
        let era = self.era;
        let (zone, at) = (&era.zone, &era.node);
        let node = era.direct(self.at_boot(at.size.div_ceil(PAGE), 1));
        self.write_u64(self.variables.address("node_data"), node);
        // Pages that were freed last wait on lists of CPUs.
        let waiting: Vec<Vec<u64>> = (0..CPUS)
            .map(|_| (0..ON_CPU).map(|_| self.single()).collect())
            .collect();
        let zones = [
            (1..DMA32, "DMA"),
            (DMA32..FRAMES, "DMA32"),
            (0..0, "Normal"),
        ];
        for (index, (frames, name)) in (0..).zip(zones) {
            let none = vec![Vec::new(); CPUS as usize];
            let waiting = if index == 1 { &waiting } else { &none };
            let this = node + index * zone.size;
            self.write_u64(this + zone.pgdat, node);
            self.write_u64(this + zone.pageset, PAGESETS + index * 128);
            self.place_zone(this, &frames, name);
            self.place_pagesets(index, waiting);
            self.free_blocks(this, frames);
        }
        for index in 3..era.zones {
            // ZONE_MOVABLE and ZONE_DEVICE are empty.
            self.write_u64(node + index * zone.size + zone.pgdat, node);
        }
        self.write_u32(node + at.nr_zones, 3);
        self.write_u64(node + at.start, 1);
        self.write_u64(node + at.present, FRAMES - 1);
        self.write_u64(node + at.spanned, FRAMES - 1);
        self.write_u32(node + at.id, 0);
        let lru = std::mem::take(&mut self.lru);
        let dma32 = node + zone.size;
        let counters = &era.counters;
        // All pages on the lists are of one zone.
        let of = if counters.of_node { node } else { dma32 };
        for (list, frames) in (0..).zip(&lru) {
            self.write_page_list(of + counters.lists + list * 16, frames);
        }
        if counters.of_node {
            self.write_u64(node + counters.differences, NODE_DIFFERENCES);
        }
        let counts = lru.each_ref().map(|list| list.len() as u64);
        let shmem = self.shmem;
        let lists = (counters.lru..).zip(counts);
        for (item, count) in lists.chain([
            (counters.anon, counts[0] + counts[1] - shmem),
            (counters.file, counts[2] + counts[3] + shmem),
            (counters.shmem, shmem),
        ]) {
            self.write_u64(of + counters.vm_stat + item * 8, count);
        }
        self.write_u64(dma32 + zone.vm_stat + zone.tables * 8, self.user_tables);
    }

    fn place_zone(&mut self, zone: u64, frames: &Range<u64>, name: &str) {
        let spanned = frames.end - frames.start;
        let managed = spanned - self.count_boot(frames.clone());
        let name = self.string(name);
        let places = &self.era.zone;
        for (at, word) in [
            (places.start, frames.start),
            (places.managed, managed),
            (places.spanned, spanned),
            (places.present, spanned),
            (places.name, name),
        ] {
            self.write_u64(zone + at, word);
        }
    }

    /// Lists of single free pages, of which each CPU has some of its own.
    fn place_pagesets(&mut self, zone: u64, waiting: &[Vec<u64>]) {
        for (cpu, frames) in (0..).zip(waiting) {
            let set = self.percpu(PAGESETS + zone * 128, cpu);
            self.write_u32(set, frames.len() as u32);
            self.write_u32(set + 4, 186);
            self.write_u32(set + 8, 31);
            for kind in 0..3 {
                let frames = if kind == self.era.zone.movable {
                    &frames[..]
                } else {
                    &[]
                };
                for &pfn in frames {
                    self.set_page(pfn, StructPage::inside(pfn));
                    self.on_cpus.push(pfn);
                }
                self.write_page_list(set + 16 + kind * 16, frames);
            }
        }
    }

    /// Gathers what is free into the largest blocks there can be.
    fn free_blocks(&mut self, zone: u64, frames: Range<u64>) {
        let mut lists = vec![Vec::new(); ORDERS as usize];
        let mut pfn = frames.start;
        let mut free = 0;
        while pfn < frames.end {
            let fits = |order: &u32| {
                let end = pfn + (1 << order);
                pfn.is_multiple_of(1 << order)
                    && end <= frames.end
                    && (pfn..end).all(|pfn| self.is_free(pfn))
            };
            let largest = (0..ORDERS as u32).rev().find(fits);
            let Some(order) = largest else {
                pfn += 1;
                continue;
            };
            lists[order as usize].push(pfn);
            free += 1u64 << order;
            pfn += 1 << order;
        }
        for (order, blocks) in (0..).zip(&lists) {
            let area = zone + self.era.zone.free_area + u64::from(order) * (TYPES * 16 + 8);
            for &pfn in blocks {
                self.set_free(pfn, StructPage::buddy(pfn, order));
            }
            for kind in 0..TYPES {
                let blocks = if kind == self.era.zone.movable {
                    &blocks[..]
                } else {
                    &[]
                };
                self.write_page_list(area + kind * 16, blocks);
            }
            self.write_u64(area + TYPES * 16, blocks.len() as u64);
        }
        // NR_FREE_PAGES
        self.write_u64(zone + self.era.zone.vm_stat, free);
    }
}
