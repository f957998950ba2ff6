//! The pages as text. Whatever callers chose is escaped; there are no scripts.

use model::text::is_seen;
use proto::v1::Approval;

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
content=\"width=device-width\"><title>Gatehouse approval</title><style>body{font:16px system-ui;max-width:42em;margin:2em \
auto;padding:0 1em}dt{color:#666}dd{margin:0 0 .6em}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;\
padding:.6em}input{font:inherit;width:100%;box-sizing:border-box;margin:.2em 0 .8em}button{font:inherit;padding:.4em 1.2em;\
margin-right:1em}</style>";

/// A link that leads nowhere.
pub(super) fn nothing() -> String {
    message(
        "There is nothing here (any more): a link is good until somebody has decided, or its time is over.",
    )
}

/// A sentence.
pub(super) fn message(text: &str) -> String {
    format!("{HEAD}<p>{}</p>", escaped(text))
}

/// What was decided.
pub(super) fn decided(approval: &Approval) -> String {
    message(&format!(
        "{}: {} on {} for {}.",
        approval.state,
        what(approval),
        approval.server,
        approval.user
    ))
}

/// A call that waits, with a form to decide about it. `meant`: what the link is for.
pub(super) fn form(approval: &Approval, token: &str, meant: &str, needs_key: bool) -> String {
    let mut page = format!(
        "{HEAD}<h1>{} wants to call {} on {}</h1><dl>",
        escaped(&approval.user),
        escaped(what(approval)),
        escaped(&approval.server)
    );
    let groups = approval.groups.join(", ");
    for (name, value) in [
        ("Groups", groups.as_str()),
        ("Application", &approval.client),
        ("Method", &approval.method),
        ("Rule", &approval.rule),
        ("To be decided by", &approval.approvers),
    ] {
        if !value.is_empty() {
            page.push_str(&format!("<dt>{name}</dt><dd>{}</dd>", escaped(value)));
        }
    }
    let cut = if approval.shortened {
        " (the beginning)"
    } else {
        ""
    };
    page.push_str(&format!(
        "</dl><p>Arguments{cut}:</p><pre>{}</pre>",
        escaped(&approval.arguments)
    ));
    if approval.state != "pending" {
        page.push_str(&format!(
            "<p>It is {} already.</p>",
            escaped(&approval.state)
        ));
        return page;
    }
    page.push_str(&format!(
        "<form method=\"post\" action=\"/approvals/{}\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <label>Comment <input name=\"comment\" maxlength=\"300\"></label>",
        escaped(&approval.id),
        escaped(token)
    ));
    if needs_key {
        page.push_str(
            "<label>Your API key <input name=\"key\" type=\"password\" autocomplete=\"off\" required></label>",
        );
    }
    let buttons = [("grant", "Approve"), ("refuse", "Refuse")];
    let (first, second) = if meant == "refuse" { (1, 0) } else { (0, 1) };
    for (value, label) in [buttons[first], buttons[second]] {
        page.push_str(&format!(
            "<button name=\"decision\" value=\"{value}\">{label}</button>"
        ));
    }
    page.push_str("</form>");
    page
}

fn what(approval: &Approval) -> &str {
    match approval.name.as_str() {
        "" => &approval.method,
        name => name,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What is not seen could show arguments as others than they are.
            c if c == '\n' || is_seen(c) => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_callers_chose_is_shown_and_does_nothing() {
        let approval = Approval {
            id: "a".to_owned(),
            state: "pending".to_owned(),
            user: "<b>\"ana\"</b>".to_owned(),
            arguments: "</pre><script>\u{202e}".to_owned(),
            ..Approval::default()
        };
        let page = form(&approval, "t'\"", "grant", true);
        for bad in ["<b>", "<script", "\u{202e}", "t'\""] {
            assert!(!page.contains(bad), "{bad}: {page}");
        }
        assert!(page.contains("&lt;script&gt;\\u{202e}"), "{page}");
    }
}
