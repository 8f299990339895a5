//! Section 1: DDS.

use posemesh_devnet::Endpoint;
use posemesh_tests::Scene;

#[tokio::test]
async fn s1_8_the_node_registers_logs_in_and_only_then_asks_for_work() {
    let scene = Scene::new().await;
    let mut node = scene.node();
    let poll = scene.wait_for_work_wanted(&node).await;
    let all = scene.devnet.requests();
    let order: Vec<_> = all.iter().take(5).filter_map(|request| request.endpoint).collect();
    use Endpoint::{Lease, RegisterWallet, SiweRequest, SiweVerify};
    assert_eq!(order, [SiweRequest, RegisterWallet, SiweRequest, SiweVerify, Lease], "{}", node.log());
    assert_eq!(poll.header("authorization"), None, "records hold no token");
    assert!(all.iter().take(4).all(|request| request.bearer_hash.is_none()), "DDS gets no bearer");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}
