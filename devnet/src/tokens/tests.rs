#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

#[test]
fn tokens_look_like_jwts_and_end_when_retired() {
    let (tokens, clock) = (TokenTable::default(), ServerClock::new(0));
    let id = Uuid::new_v4();
    let issued = tokens.issue(&clock, TokenGrant::Node(id), Duration::from_secs(60), json!({"iss": "dds"}));
    let parts: Vec<&str> = issued.token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    assert_eq!(claims["iss"], "dds");
    assert!(claims["exp"].as_i64().unwrap() >= claims["iat"].as_i64().unwrap() + 60);

    assert_eq!(tokens.check(&issued.token), Some(TokenGrant::Node(id)));
    tokens.retire(&issued.token, Duration::ZERO);
    assert_eq!(tokens.check(&issued.token), None);
    assert_eq!(tokens.recall(&issued.token), Some((TokenGrant::Node(id), false)));
}
