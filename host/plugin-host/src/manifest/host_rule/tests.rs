#![allow(clippy::unwrap_used)]

use super::*;

fn rules(texts: &[&str]) -> Vec<HostRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn agreed_texts(asked: &[&str], allowed: &[&str]) -> Vec<String> {
    agreed(&rules(asked), &rules(allowed)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_allows_its_host_at_the_default_port_or_at_its_own() {
    let rule: HostRule = "Example.COM".parse().unwrap();
    assert!(rule.allows("example.com", 443, 443) && rule.allows("example.com", 80, 80));
    assert!(!rule.allows("example.com", 8443, 443), "another port is another door");
    assert!(!rule.allows("www.example.com", 443, 443) && !rule.allows("example.com.evil.org", 443, 443));
    let rule: HostRule = "example.com:8443".parse().unwrap();
    assert!(rule.allows("example.com", 8443, 443) && !rule.allows("example.com", 443, 443));
    let rule: HostRule = "*.example.com".parse().unwrap();
    assert!(rule.allows("a.example.com", 443, 443) && rule.allows("a.b.example.com", 443, 443));
    assert!(!rule.allows("example.com", 443, 443) && !rule.allows("badexample.com", 443, 443));
}

#[test]
fn rules_are_written_as_they_are_read() {
    for text in ["example.com", "*.example.com", "example.com:8443", "127.0.0.1:80", "[::1]:8080"] {
        assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
    }
    for text in ["", "*", "*.", "a b", "http://x", "x/y", "x?y", "u@x", "a.*.b", "*.127.0.0.1", "x:99999"] {
        let error = text.parse::<HostRule>().unwrap_err();
        assert!(error.contains("allowed: example.com"), "{text}: {error}");
    }
}

#[test]
fn what_counts_is_what_both_sides_say() {
    assert_eq!(agreed_texts(&["a.x.org", "b.org"], &["*.x.org"]), ["a.x.org"]);
    assert_eq!(agreed_texts(&["*.x.org"], &["a.x.org", "x.org"]), ["a.x.org"], "the narrower one counts");
    assert_eq!(agreed_texts(&["*.a.x.org"], &["*.x.org"]), ["*.a.x.org"]);
    assert_eq!(agreed_texts(&["x.org"], &["x.org:8443"]), [""; 0]);
    assert_eq!(agreed_texts(&["x.org"], &["x.org"]), ["x.org"]);
    assert_eq!(agreed_texts(&["x.org"], &[]), [""; 0], "off unless the operator says so");
}

#[test]
fn only_addresses_of_the_public_internet_are_public() {
    for address in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}
