//! What the pages have in common: styles, themes, the header, and a policy by which they load nothing.

use std::fmt::Write as _;

pub(crate) const STYLE: &str = include_str!("../../templates/style.css");
pub(crate) const DARK: &str = include_str!("../../templates/dark.css");
const COMMON: &str = include_str!("../../templates/common.js");

/// What the browser may load: nothing. Styles and scripts are in the file itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// Before the first paint: the theme that was chosen last.
const THEME: &str = "try { const theme = localStorage.getItem('clinker-theme'); if (theme) document.documentElement.dataset.theme = theme; } catch { /* no storage */ }";

/// The buttons beside the title.
pub(crate) enum Corner {
    Theme,
    /// And one that lists the keys.
    WithKeys,
}

pub(crate) fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("a String takes every write");
}

/// Text for an element or a quoted attribute.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(ch),
            ch if ch.is_control() => out.push('\u{fffd}'),
            _ => out.push(ch),
        }
    }
    out
}

/// Everything up to the body's first element; `extra` are styles that only this page has.
pub(crate) fn head(out: &mut String, title: &str, extra: &str) {
    let style = STYLE.replace("/*dark*/\n", DARK);
    put(
        out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{} · Clinker</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{style}{extra}</style>\n<script>{THEME}</script>\n</head>\n<body>\n",
            safe(title)
        ),
    );
}

/// The page's header, and the beginning of its content.
pub(crate) fn title(out: &mut String, title: &str, facts: &str, corner: Corner) {
    let keys = match corner {
        Corner::Theme => "",
        Corner::WithKeys => "<button class=\"btn icon\" id=\"keys\" aria-label=\"Keys\" title=\"Keys (?)\">?</button>",
    };
    put(
        out,
        format_args!(
            "<div class=\"page\">\n<header class=\"head\"><p class=\"brand\">Clinker</p><h1>{}</h1><p class=\"facts\">{}</p>\
             <div class=\"corner\"><button class=\"btn icon\" id=\"theme\" aria-label=\"Light or dark\" \
             title=\"Light or dark (t)\">◐</button>{keys}</div></header>\n",
            safe(title),
            safe(facts)
        ),
    );
}

/// The scripts, which share one scope, and the end of the file.
pub(crate) fn end(out: &mut String, scripts: &[&str]) {
    put(out, format_args!("<script>(() => {{\n{COMMON}\n{}}})();</script>\n</body>\n</html>\n", scripts.join("\n")));
}
