//! `pagehound diff --series`: several moments of one host.

use super::{Context, diff};
use crate::args;
use crate::exit::Exit;
use crate::render::{self, Detail};
use anyhow::{anyhow, bail};
use pagehound_compare::{self as compare, MOST_MOMENTS};

pub(super) fn run(args: &args::Diff, context: &Context) -> anyhow::Result<Exit> {
    let targets = &args.targets;
    // Before dumps are read for nothing.
    if targets.len() > MOST_MOMENTS {
        bail!(
            "--series takes {MOST_MOMENTS} moments at most, and here are {}",
            targets.len()
        );
    }
    for target in targets {
        target.check()?;
    }
    let file = diff::destination(args, targets.iter().filter_map(diff::target_path))?;
    let reports = targets.iter().map(|target| diff::report(target, context));
    let reports: Vec<_> = reports.collect::<anyhow::Result<_>>()?;
    let series = compare::series(&reports).map_err(|reason| anyhow!("{reason}"))?;
    diff::deliver(args, file, &series, |page| {
        render::series(&series, Detail::of(args.all), page)
    })?;
    Ok(match series.matters {
        true => Exit::DIFFERENT,
        false => Exit::OK,
    })
}
