//! Interfaces, addresses and gateways as ip says, listening sockets as ss does.

use super::compare::Facts;
use super::{Report, Rule, Tool, attr, put, say};
use serde_json::Value;
use shared::fact;
use std::net::IpAddr;

pub(super) const IP: Tool = Tool {
    name: "ip -j addr, ip -j route",
    asks: &[
        &["ip", "-j", "-d", "addr"],
        &["ip", "-j", "-4", "route", "show", "default"],
        &["ip", "-j", "-6", "route", "show", "default"],
    ],
    theirs: ip,
    ours: interfaces,
    rules: &[
        Rule {
            why: "it comes and goes with a container or a virtual machine (veth, a tun in a bridge, br- and an id)",
            holds: |d| d.ours.is_none() && d.name.split(' ').next().is_some_and(comes_and_goes),
        },
        Rule {
            why: "a temporary address (RFC 8981) is another one tomorrow",
            holds: |d| {
                let address = d.name.split_once(" address ").map_or("", |(_, address)| address);
                let temporary = say(&["ip", "-o", "-6", "addr", "show", "temporary"]).unwrap_or_default();
                d.ours.is_none() && temporary.split_ascii_whitespace().any(|word| word == address)
            },
        },
        Rule {
            why: "an address of zeros is none",
            holds: |d| d.ours.is_none() && d.name.ends_with(" mac") && d.theirs == Some("00:00:00:00:00:00"),
        },
        Rule {
            why: "the kernel made this address up (addr_assign_type 1): another one after the next start",
            holds: |d| {
                let Some(name) = d.name.strip_suffix(" mac") else { return false };
                let folder = format!("/sys/class/net/{name}");
                let how = std::fs::read_to_string(format!("{folder}/addr_assign_type")).unwrap_or_default();
                let device = std::path::Path::new(&folder).join("device").exists();
                d.ours.is_none() && how.trim() == "1" && !device
            },
        },
        Rule {
            why: "a bridge loses its carrier with its last port; the agent says whether its owner has it up",
            holds: |d| {
                let Some(name) = d.name.strip_suffix(" up") else { return false };
                let link = say(&["ip", "-j", "-d", "link", "show", "dev", name]).unwrap_or_default();
                d.ours == Some("true") && d.theirs == Some("false") && is_bridge_that_is_up(&link)
            },
        },
        Rule {
            why: "not six bytes: a tunnel's end or a bus's address, no MAC",
            holds: |d| d.ours.is_none() && d.name.ends_with(" mac") && d.theirs.is_some_and(|mac| mac.len() != 17),
        },
    ],
};

/// As the kernel describes the interface now.
fn comes_and_goes(name: &str) -> bool {
    let links = say(&["ip", "-j", "-d", "link", "show", "dev", name]).unwrap_or_default();
    let links: Value = serde_json::from_str(&links).unwrap_or_default();
    let (kind, port) = (links[0]["linkinfo"]["info_kind"].as_str(), links[0]["master"].is_string());
    let id = name.strip_prefix("br-").unwrap_or("");
    match kind {
        Some("veth") => true,
        Some("tun") => port,
        Some("bridge") => id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

fn is_bridge_that_is_up(link: &str) -> bool {
    let links: Value = serde_json::from_str(link).unwrap_or_default();
    let up = links[0]["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    up && links[0]["linkinfo"]["info_kind"] == "bridge"
}

fn ip(texts: &[String]) -> Option<Facts> {
    let mut facts = Facts::new();
    let [links, routes @ ..] = texts else { return None };
    let links: Value = serde_json::from_str(links).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for link in links.as_array()? {
        let name = text(&link["ifname"])?;
        let has = |flag: &str| link["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag));
        put(&mut facts, format!("{name} up"), Some((has("UP") && has("LOWER_UP")).to_string()));
        put(&mut facts, format!("{name} mtu"), Some(link["mtu"].to_string()));
        put(&mut facts, format!("{name} mac"), text(&link["address"]));
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let (local, prefix) = (text(&address["local"])?, &address["prefixlen"]);
            put(&mut facts, format!("{name} address {local}/{prefix}"), Some(""));
        }
    }
    for routes in routes.iter().filter(|routes| !routes.trim().is_empty()) {
        let routes: Value = serde_json::from_str(routes).ok()?;
        for route in routes.as_array()? {
            if let (Some(gateway), Some(device)) = (route["gateway"].as_str(), route["dev"].as_str()) {
                put(&mut facts, format!("{device} gateway {gateway}"), Some(""));
            }
        }
    }
    Some(facts)
}

fn interfaces(report: &Report) -> Facts {
    let mut facts = Facts::new();
    for item in report.items("network") {
        let name = item.label.as_deref().unwrap_or("");
        for fact in ["up", "mtu", "mac"] {
            put(&mut facts, format!("{name} {fact}"), attr(item, fact));
        }
        for (list, fact) in [("addresses", "address"), ("gateways", "gateway")] {
            let Some(fact::Value::List(list)) = item.attrs.get(list) else { continue };
            for value in list {
                put(&mut facts, format!("{name} {fact} {value}"), Some(""));
            }
        }
    }
    facts
}

pub(super) const SS: Tool = Tool {
    name: "ss -tulpn",
    asks: &[&["ss", "-H", "-tulpn"]],
    theirs: ss,
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("ports") {
            let name = item.key.replacen('/', " ", 1).replace('/', " ");
            put(&mut facts, name, Some(item.label.clone().unwrap_or_default()));
        }
        facts
    },
    rules: &[Rule {
        why: "several processes hold it: the agent names the first",
        holds: |d| match (d.theirs, d.ours) {
            (Some(theirs), Some(ours)) => theirs.contains(' ') && theirs.split(' ').any(|name| name == ours),
            _ => false,
        },
    }],
};

/// `tcp LISTEN 0 128 127.0.0.1:631 0.0.0.0:* users:(("cupsd",pid=1,fd=7))`
fn ss(texts: &[String]) -> Option<Facts> {
    let mut facts = Facts::new();
    for line in texts.first()?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = words.get(4)?.rsplit_once(':')?;
        // `*` is both families through one IPv6 socket; `%eth0` is the interface it is bound to.
        let address = address.split('%').next()?.trim_matches(['[', ']']).replace('*', "::");
        let address: IpAddr = address.parse().ok()?;
        let mut owners: Vec<&str> = words.get(6).unwrap_or(&"").split('"').skip(1).step_by(2).collect();
        owners.dedup();
        facts.insert(format!("{} {address} {port}", words.first()?), owners.join(" "));
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::is_bridge_that_is_up;

    #[test]
    fn only_a_bridge_may_be_up_without_a_carrier() {
        let link = |kind: &str, flags: &str| {
            format!(r#"[{{"ifname":"x","flags":["NO-CARRIER",{flags}],"linkinfo":{{"info_kind":"{kind}"}}}}]"#)
        };
        assert!(is_bridge_that_is_up(&link("bridge", r#""BROADCAST","UP""#)));
        assert!(!is_bridge_that_is_up(&link("bridge", r#""BROADCAST""#)));
        assert!(!is_bridge_that_is_up(&link("vlan", r#""UP""#)));
        assert!(!is_bridge_that_is_up(""));
    }
}
