//! What is deleted and brought back is shared as it was, and what was revoked meanwhile stays revoked.

use super::*;

#[test]
fn a_deletion_that_is_undone_brings_back_whom_it_was_shared_with() {
    let Some(world) = village() else { return };
    let plan = "/workspace/project/plan";
    said(
        &world,
        ALICE,
        &format!("nexus rebac grant user bob file {plan} --relation can_read"),
    )
    .must();
    said(&world, BOB, "cat project/plan; no cat project/deep/f").must();
    said(&world, ALICE, "rm -r project").must();
    // Neither there, nor in the past, nor by undoing what was in it: what is gone is judged as it went.
    said(
        &world,
        BOB,
        "no cat project/plan; no ls project; no nexus trash restore /workspace/project/plan",
    )
    .must();
    said(
        &world,
        CAROL,
        "no nexus undo --path /workspace/project; no cat .at/1s-ago/project/plan",
    )
    .must();
    said(
        &world,
        ALICE,
        "nexus trash restore /workspace/project; cat project/deep/f",
    )
    .must();
    said(&world, BOB, "cat project/plan; no cat project/deep/f").must();
    said(&world, CAROL, "no cat project/plan").must();
}

#[test]
fn undoing_a_deletion_brings_back_no_grant_that_was_revoked() {
    let Some(world) = village() else { return };
    let to_bob = "user bob file /workspace/project/plan --relation can_read";
    said(&world, ALICE, &format!("nexus rebac grant {to_bob}")).must();
    said(&world, ALICE, "rm project/plan; nexus undo --last").must();
    said(&world, BOB, "cat project/plan").must();
    said(&world, ALICE, &format!("nexus rebac revoke {to_bob}")).must();
    said(&world, ALICE, "rm project/plan; nexus undo --last").must();
    said(
        &world,
        BOB,
        "no cat project/plan; no nexus cat --at 1s-ago /workspace/project/plan",
    )
    .must();
    said(&world, ALICE, "cat project/plan").must();
}
