//! `lookalike plan`: what a gallery will take of a server, before it is bought.

use std::io::{self, Write};

use lookalike::MAX_DIMS;
use lookalike::capacity::{Asked, Forecast, Measured, Server, Way};
use lookalike::synth::Profile;

use super::{Failure, grouped, parse_bytes, parse_positive};

/// The most faces of one gallery.
const MOST: u64 = u32::MAX as u64;

/// Foretell time, memory and disk for a gallery of any size on a server
///
/// Extrapolated from galleries that were measured, up to a size that is printed: each count of what
/// a search reads is taken to grow as a power of the number of faces. Times are of cores as fast as
/// that of the machine measured on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Faces, such as 250000000, 250_000_000 or 3e9
    #[arg(long, value_name = "N", value_parser = parse_faces)]
    faces: u64,
    /// Dimensions of an embedding
    #[arg(long, value_name = "D", value_parser = parse_dims)]
    dims: usize,
    /// The face model that yours is most like, of those measured: arcface-512, or dlib-128 where
    /// people have many photos; unless named, dlib-128 for up to 128 dimensions
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile)]
    profile: Option<Profile>,
    /// Memory of the server
    #[arg(long, value_name = "BYTES", default_value = "512G", value_parser = parse_bytes)]
    ram: u64,
    /// Its cores
    #[arg(long, value_name = "N", value_parser = parse_positive, default_value_t = 64)]
    cores: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let small = args.dims <= Profile::Dlib128.dims();
    let like = if small { Profile::Dlib128 } else { Profile::ArcFace512 };
    let profile = args.profile.unwrap_or(like);
    let measured = Measured::shipped()
        .ok_or_else(|| Failure::Failed("what was measured cannot be read".to_owned()))?;
    let server = Server::new(args.cores, args.ram);
    let rows: Vec<(bool, Way, Forecast)> = [false, true]
        .into_iter()
        .flat_map(|isolated| Way::ALL.map(|way| (isolated, way)))
        .filter_map(|(isolated, way)| {
            let name = profile.to_string();
            let asked = Asked { profile: &name, isolated, faces: args.faces, dims: args.dims, way };
            Some((isolated, way, Forecast::new(measured, &asked, &server)?))
        })
        .collect();
    if rows.is_empty() {
        let mut there: Vec<&str> =
            measured.galleries.iter().map(|built| built.profile.as_str()).collect();
        there.sort_unstable();
        there.dedup();
        let there = there.join(", ");
        return Err(Failure::Failed(format!(
            "no gallery like {profile} was measured; there are {there}"
        )));
    }
    print(&mut io::stdout().lock(), args, profile, measured, &server, &rows)
        .map_err(Failure::output)
}

fn print(
    out: &mut impl Write,
    args: &Args,
    profile: Profile,
    measured: &Measured,
    server: &Server,
    rows: &[(bool, Way, Forecast)],
) -> io::Result<()> {
    writeln!(
        out,
        "{} faces x {} dimensions like {profile}, {} cores, {} of memory; k {}, hit rate {}",
        grouped(args.faces),
        args.dims,
        server.cores,
        amount(server.memory as f64),
        measured.k,
        measured.hit_rate
    )?;
    writeln!(
        out,
        "\n{:<11} {:<15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "photos of",
        "search by",
        "ms a",
        "probes",
        "in batches",
        "memory",
        "disk",
        "build,",
        "promise,"
    )?;
    writeln!(
        out,
        "{:<11} {:<15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "a person", "", "probe", "a second", "of 64", "", "", "hours", "hours"
    )?;
    let mut too_much = false;
    for (isolated, way, told) in rows {
        let beyond = told.resident > server.free() as f64;
        too_much |= beyond;
        let memory = format!("{}{}", amount(told.resident), if beyond { "*" } else { "" });
        writeln!(
            out,
            "{:<11} {:<15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}",
            photos_of(*isolated),
            way_name(*way),
            figure(told.milliseconds),
            figure(told.probes),
            figure(told.batched_probes),
            memory,
            amount(told.disk),
            figure(told.build / 3600.0),
            figure(told.promise / 3600.0),
        )?;
    }
    if too_much {
        writeln!(out, "\n* more than the server has: the times are those of one that has it")?;
    }
    notes(out, args, profile, measured, server, rows)
}

/// What was measured, what is extrapolated, what is assumed.
fn notes(
    out: &mut impl Write,
    args: &Args,
    profile: Profile,
    measured: &Measured,
    server: &Server,
    rows: &[(bool, Way, Forecast)],
) -> io::Result<()> {
    let (least, most) = rows.iter().fold((u64::MAX, 0), |(least, most), (_, _, told)| {
        (least.min(told.measured.0), most.max(told.measured.1))
    });
    writeln!(
        out,
        "\nmeasured      {} to {} faces, commit {}, on one core of {}",
        grouped(least),
        grouped(most),
        commits(measured, profile),
        measured.machine
    )?;
    for isolated in [false, true] {
        if rows.iter().all(|(of, ..)| *of != isolated) {
            let photos = photos_of(isolated);
            writeln!(
                out,
                "not measured  people with {photos} photos, of embeddings like {profile}"
            )?;
        }
    }
    let beyond = args.faces as f64 / most.max(1) as f64;
    writeln!(
        out,
        "extrapolated  {}",
        if beyond > 1.0 {
            format!("everything above, over {} times the largest of them", figure(beyond))
        } else if args.faces < least {
            "everything above, below the smallest of them".to_owned()
        } else {
            "what lies between the sizes measured".to_owned()
        }
    )?;
    writeln!(
        out,
        "assumed       {:.0} GB/s of memory; {:.0} us and {} reads a second from disk, {} of a probe \
         together;\n              vectors in what memory is left, the rest on disk; a core's share of \
         a build as here;\n              dimensions change what vectors take, and nothing else",
        server.bandwidth / 1e9,
        server.latency * 1e6,
        grouped(server.disk_reads as u64),
        Server::TOGETHER
    )?;
    if args.faces > MOST {
        writeln!(
            out,
            "\nA gallery holds at most {} faces: this takes {} of them.",
            grouped(MOST),
            args.faces.div_ceil(MOST)
        )?;
    }
    Ok(())
}

/// The commits that galleries like a profile were measured at.
fn commits(measured: &Measured, profile: Profile) -> String {
    let name = profile.to_string();
    let of = measured.galleries.iter().filter(|built| built.profile == name);
    let mut commits: Vec<&str> = of.map(|built| built.commit.as_str()).collect();
    commits.sort_unstable();
    commits.dedup();
    commits.join(" and ")
}

fn photos_of(isolated: bool) -> &'static str {
    if isolated { "mostly one" } else { "many" }
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Walk => "walk",
        Way::Share => "scan of a share",
        _ => "scan of all",
    }
}

/// Three figures that say something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 1000.0 => {
            let step = 10_f64.powi(value.log10() as i32 - 2);
            grouped(((value / step).round() * step) as u64)
        }
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// Bytes as people read them.
fn amount(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let power = (bytes.max(1.0).log2() / 10.0) as usize;
    let power = power.min(units.len() - 1);
    format!("{} {}", figure(bytes / 1024_f64.powi(power as i32)), units[power])
}

/// A number of faces, also as 3e9 or 250_000_000.
fn parse_faces(text: &str) -> Result<u64, String> {
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    match plain.parse::<f64>() {
        Ok(faces) if (1.0..=1e15).contains(&faces) => Ok(faces.round() as u64),
        Ok(_) => Err("must be from 1 to 1e15".to_owned()),
        Err(_) => Err(format!("{text:?} is no number of faces; write 250000000 or 3e9")),
    }
}

fn parse_dims(text: &str) -> Result<usize, String> {
    match parse_positive(text)? {
        dims if dims > MAX_DIMS => Err(format!("must be at most {MAX_DIMS}")),
        dims => Ok(dims),
    }
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    text.parse().map_err(|error: lookalike::synth::SynthError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_are_read_as_people_write_them() {
        for (text, faces) in
            [("3e9", 3_000_000_000), ("250_000_000", 250_000_000), ("1_000", 1000), ("7", 7)]
        {
            assert_eq!(parse_faces(text), Ok(faces));
        }
        for text in ["", "0", "-3", "many", "NaN", "inf", "1e99", "0.1", "1,5e9"] {
            assert!(parse_faces(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_have_three_places() {
        let texts = [0.0123, 1.234, 12.34, 123.4, 1234.0, 1_234_567.0].map(figure);
        assert_eq!(texts, ["0.012", "1.23", "12.3", "123", "1,230", "1,230,000"]);
        assert_eq!(amount(1.5 * 1024.0 * 1024.0 * 1024.0), "1.50 GiB");
    }
}
