//! How it looks.

/// The drawing has a ground of its own, since GitHub's theme and the system's need not be the same. Lettering
/// and colours turn with it where the system is dark.
pub(super) const STYLE: &str = "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
    .title{font-size:15px;font-weight:600}.head,.small,.more{fill:#59636e}.group{font-weight:600}\
    .figure{font-weight:600}.more{font-weight:400}.tiny{font-size:10px;fill:#818b98}\
    .card{fill:#fff;stroke:#d1d9e0}.ours{fill:#218bff}.batched{fill:#9a8cd8}.sequential{fill:#afb8c1}\
    .cut{stroke:#fff;stroke-opacity:.7}.mark{stroke:#cf222e;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.head,.small,.more{fill:#9198a1}\
    .card{fill:#0d1117;stroke:#3d444d}.ours{fill:#388bfd}.batched{fill:#8a77cf}.sequential{fill:#656c76}\
    .cut{stroke:#0d1117}.mark{stroke:#ff7b72}}";

/// About how wide a small text is.
#[expect(clippy::cast_precision_loss, reason = "a few letters")]
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}
