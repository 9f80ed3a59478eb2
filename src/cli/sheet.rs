//! A contact sheet: probes and the faces found for them, as one HTML file that needs nothing else.
//!
//! In come probes with their matches, one after the other; out goes a page that shows them as
//! pictures, with similarity, subject and source. Pictures are inside the file, there are no scripts,
//! and a content security policy forbids the browser to load anything. Always: what comes from the
//! user is escaped, and memory holds one probe at a time.

use std::io::{self, Write};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("sheet.css");
/// Pictures inside the file and the style above; nothing from anywhere else, and no scripts.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// What the page says about the whole search.
#[derive(Clone, Debug, Default)]
pub(crate) struct SheetHead {
    pub(crate) title: String,
    /// Name of the gallery.
    pub(crate) gallery: String,
    /// Faces in the gallery.
    pub(crate) faces: u64,
    /// A sentence to read before the matches.
    pub(crate) note: Option<String>,
    /// Similarity from which a face counts as a match.
    pub(crate) threshold: Option<f32>,
}

/// A probe and what was found for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SheetProbe<'a> {
    pub(crate) name: String,
    /// What else is known of it, such as who it shows.
    pub(crate) caption: Option<String>,
    /// JPEG.
    pub(crate) thumbnail: Option<&'a [u8]>,
    /// The pictures of the other probes of a set; JPEG.
    pub(crate) more_thumbnails: &'a [Vec<u8>],
    /// Probes that were fused; none for one by itself.
    pub(crate) fused: usize,
    /// Why there are no matches.
    pub(crate) error: Option<String>,
    /// Most similar first.
    pub(crate) matches: Vec<SheetMatch>,
}

/// A face that was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct SheetMatch {
    /// Its rank, or that of its subject; from 1.
    pub(crate) rank: usize,
    pub(crate) face_id: u64,
    pub(crate) similarity: f32,
    /// How alike the subject's template is.
    pub(crate) subject_similarity: Option<f32>,
    pub(crate) subject: Option<String>,
    pub(crate) source: Option<String>,
    /// File of the photo.
    pub(crate) image: Option<String>,
    /// JPEG.
    pub(crate) thumbnail: Option<Vec<u8>>,
}

/// A page being written.
pub(crate) struct Sheet<W: Write> {
    out: W,
    threshold: Option<f32>,
    probes: u64,
    matches: u64,
}

impl<W: Write> Sheet<W> {
    /// Writes all that comes before the first probe.
    pub(crate) fn begin(mut out: W, head: &SheetHead) -> io::Result<Self> {
        out.write_all(page_head(head).into_string().as_bytes())?;
        Ok(Self { out, threshold: head.threshold, probes: 0, matches: 0 })
    }

    /// Writes a probe and its matches.
    pub(crate) fn probe(&mut self, probe: &SheetProbe<'_>) -> io::Result<()> {
        let section = section(self.probes, probe, self.threshold);
        self.out.write_all(section.into_string().as_bytes())?;
        self.probes += 1;
        self.matches += probe.matches.len() as u64;
        Ok(())
    }

    /// Writes the end and hands the output back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let footer = html! {
            (PreEscaped("</main>"))
            footer {
                (counted(self.probes, "probe", "probes")) ", "
                (counted(self.matches, "face shown", "faces shown"))
                ". Similarity is the cosine of two embeddings: 1 is the same, higher is more alike. "
                "It says how alike two photos are, not who is on them."
            }
            (PreEscaped("</body></html>\n"))
        };
        self.out.write_all(footer.into_string().as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Everything up to and with the opening of `main`.
fn page_head(head: &SheetHead) -> Markup {
    html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            meta name="robots" content="noindex, nofollow";
            title { (head.title) }
            style { (PreEscaped(STYLE)) }
        }
        (PreEscaped("<body>"))
        header {
            h1 { (head.title) }
            p.facts {
                span { "Gallery " b { (head.gallery) } }
                span { b { (thousands(head.faces)) } @if head.faces == 1 { " face" } @else { " faces" } }
                @if let Some(threshold) = head.threshold {
                    span { "Threshold " b { (score(threshold)) } }
                }
            }
            @if let Some(note) = &head.note {
                p.note { (note) }
            }
        }
        (PreEscaped("<main>\n"))
    }
}

fn section(number: u64, probe: &SheetProbe<'_>, threshold: Option<f32>) -> Markup {
    let id = format!("probe-{number}");
    html! {
        section aria-labelledby=(id) {
            div.probe {
                (picture(probe.thumbnail, &format!("Probe {}", probe.name)))
                @if !probe.more_thumbnails.is_empty() {
                    div.more {
                        @for jpeg in probe.more_thumbnails {
                            (picture(Some(jpeg.as_slice()), &format!("Probe {}", probe.name)))
                        }
                    }
                }
                div.words {
                    p.label { "Probe" }
                    h2 id=(id) { (probe.name) }
                    @if let Some(caption) = &probe.caption {
                        p.caption { (caption) }
                    }
                    @if probe.fused > 0 {
                        p.count { "fused of " (counted(probe.fused as u64, "probe", "probes")) }
                    }
                    @if !probe.matches.is_empty() {
                        @let count = probe.matches.len() as u64;
                        p.count {
                            @if threshold.is_some() { (counted(count, "match", "matches")) }
                            @else { (counted(count, "nearest face", "nearest faces")) }
                        }
                    }
                }
            }
            @if let Some(error) = &probe.error {
                p.error { (error) }
            } @else if probe.matches.is_empty() {
                p.empty {
                    @if let Some(threshold) = threshold {
                        "No face has a similarity of " (score(threshold)) " or more."
                    } @else {
                        "No face was found."
                    }
                }
            } @else {
                ol { @for found in &probe.matches { (card(found)) } }
            }
        }
        "\n"
    }
}

fn card(found: &SheetMatch) -> Markup {
    let alt = match &found.subject {
        Some(subject) => format!("Face {}, {subject}", found.face_id),
        None => format!("Face {}", found.face_id),
    };
    html! {
        li {
            (picture(found.thumbnail.as_deref(), &alt))
            div.about {
                p.score {
                    b { (score(found.similarity)) }
                    span.rank { span.no { "no. " } (found.rank) }
                }
                p.subject {
                    @if let Some(subject) = &found.subject { (subject) }
                    @else { "face " (found.face_id) }
                }
                @if let Some(similarity) = found.subject_similarity {
                    p.face { "template " (score(similarity)) }
                }
                @if let Some(source) = &found.source { p.source { (source) } }
                @if let Some(image) = &found.image { p.file { (image) } }
                @if found.subject.is_some() { p.face { "face " (found.face_id) } }
            }
        }
    }
}

/// The JPEG, or the outline of a head where there is none.
fn picture(jpeg: Option<&[u8]>, alt: &str) -> Markup {
    html! {
        @if let Some(jpeg) = jpeg {
            img.picture alt=(alt) src={ "data:image/jpeg;base64," (BASE64_STANDARD.encode(jpeg)) };
        } @else {
            div.picture.none role="img" aria-label={ (alt) ", no picture" } {
                svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true" {
                    circle cx="12" cy="8" r="5" {}
                    path d="M2 24a10 10 0 0 1 20 0z" {}
                }
            }
        }
    }
}

fn score(similarity: f32) -> String {
    format!("{similarity:.4}")
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// 1234567 as "1,234,567".
fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn sheet(threshold: Option<f32>, probes: &[SheetProbe<'_>]) -> String {
        let head = SheetHead {
            title: "Sheet & more".into(),
            gallery: "\"quoted\".gallery".into(),
            faces: 1_234_567,
            note: Some("nearest faces, not <matches>".into()),
            threshold,
        };
        let mut sheet = Sheet::begin(Vec::new(), &head).unwrap();
        for probe in probes {
            sheet.probe(probe).unwrap();
        }
        String::from_utf8(sheet.finish().unwrap()).unwrap()
    }

    fn hostile() -> SheetProbe<'static> {
        let found = SheetMatch {
            rank: 1,
            face_id: 17,
            similarity: 0.83125,
            subject_similarity: Some(0.9),
            subject: Some("<script>alert(1)</script>".into()),
            source: Some("a&b.example".into()),
            image: Some("\"><img src=x>".into()),
            thumbnail: Some(vec![0xff, 0xd8, 0xff]),
        };
        SheetProbe {
            name: "\" onload=\"x".into(),
            caption: Some("</style>".into()),
            thumbnail: Some(&[0xff, 0xd8]),
            more_thumbnails: &[],
            fused: 2,
            error: None,
            matches: vec![found, SheetMatch::default()],
        }
    }

    /// Tags that are open, in order; panics where one closes that was not opened last.
    fn check_nesting(html: &str) {
        const VOID: [&str; 3] = ["meta", "img", "!DOCTYPE"];
        let mut open = Vec::new();
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap();
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if VOID.contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn what_users_wrote_is_escaped() {
        let html = sheet(None, &[hostile()]);
        check_nesting(&html);
        assert!(!html.contains("<script"));
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!html.contains("<img src=x"));
        assert!(!html.contains("\" onload=\""));
        assert_eq!(html.matches("</style>").count(), 1);
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let html = sheet(Some(0.4), &[hostile(), SheetProbe::default()]);
        for outside in ["http:", "https:", "//", "@import", "url(", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("content=\"default-src 'none'; img-src data:;"));
        assert!(html.contains("src=\"data:image/jpeg;base64,/9j/\""));
    }

    #[test]
    fn figures_and_faults_are_shown() {
        let failed = SheetProbe {
            name: "3".into(),
            error: Some("value 5 is NaN".into()),
            ..SheetProbe::default()
        };
        let html = sheet(Some(0.45), &[hostile(), SheetProbe::default(), failed]);
        check_nesting(&html);
        for words in [
            "1,234,567",
            "0.8313",
            "2 matches",
            "No face has a similarity of 0.4500 or more.",
            "value 5 is NaN",
            "Face 0, no picture",
            "3 probes, 2 faces shown",
            "fused of 2 probes",
            "template 0.9000",
            // Beside the subject, and in the place of one.
            "<p class=\"face\">face 17</p>",
            "<p class=\"subject\">face 0</p>",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(sheet(None, &[hostile()]).contains("2 nearest faces"));
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(thousands(value), text);
        }
    }
}
