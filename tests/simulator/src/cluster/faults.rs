//! Crash and restart nodes, cut and heal links, as the scenario says.

use std::collections::BTreeSet;
use std::time::Duration;

use commonware_p2p::simulated::Link;
use commonware_utils::Probability;

use super::Cluster;

impl Cluster {
    pub(super) async fn restart_due(&mut self) {
        for index in self.honest() {
            if self.restarts[index].is_some_and(|at| at <= self.elapsed) {
                self.start(index).await;
            }
        }
    }

    pub(super) async fn crash_sometimes(&mut self) {
        if !self.scenario.faults.crashes || !self.random.one_in(40) {
            return;
        }
        let index = self.random.below(self.machines.len());
        if self.running[index].is_none() {
            return;
        }
        if !self.scenario.faults.power_losses {
            return self.kill(index).await;
        }
        match self.random.below(3) {
            0 => self.kill(index).await,
            1 => {
                self.kill(index).await;
                self.lose_power(index);
            }
            // In the middle of what the store is about to write.
            _ => {
                let operations = u64::try_from(1 + self.random.below(60)).unwrap_or(1);
                self.machines[index].disk.fail_after(operations);
            }
        }
    }

    /// Ends the nodes whose power has failed.
    pub(super) async fn bury_the_dead(&mut self) {
        for index in self.honest() {
            if self.running[index].is_some() && self.machines[index].disk.has_failed() {
                self.kill(index).await;
            }
        }
    }

    async fn kill(&mut self, index: usize) {
        let Some(running) = self.running[index].take() else {
            return;
        };
        self.note_tip(index, &running.storage);
        running.kill().await;
        if self.machines[index].disk.has_failed() {
            self.lose_power(index);
        } else {
            // A failure that was still to come would hit the next start, which is another fault than this one.
            self.machines[index].disk.fail_after(u64::MAX);
        }
        let disk = &self.machines[index].disk;
        if !disk.has_failed() {
            disk.fail_after(u64::MAX);
        }
        self.crashes += 1;
        let pause = Duration::from_millis(u64::try_from(self.random.below(3_000)).unwrap_or(0));
        self.restarts[index] = Some(self.elapsed + pause);
    }

    fn lose_power(&mut self, index: usize) {
        let random = &mut self.random;
        let machine = &self.machines[index];
        machine.disk.restart(&mut |bound| random.below(bound));
        machine.journals.lose_power(random);
    }

    pub(super) async fn cut_sometimes(&mut self) {
        let faults = self.scenario.faults;
        if self.heals_at.is_some() || !self.random.one_in(60) {
            return;
        }
        let count = self.machines.len();
        let mut cut = BTreeSet::new();
        if faults.partitions && self.random.one_in(2) {
            let side: Vec<bool> = (0..count).map(|_| self.random.one_in(2)).collect();
            for from in 0..count {
                cut.extend(
                    (0..count)
                        .filter(|to| side[from] != side[*to])
                        .map(|to| (from, to)),
                );
            }
        } else if faults.one_way {
            let from = self.random.below(count);
            let to = (from + 1 + self.random.below(count - 1)) % count;
            cut.insert((from, to));
        }
        if cut.is_empty() {
            return;
        }
        for (from, to) in &cut {
            let ends = (self.machines[*from].peer(), self.machines[*to].peer());
            let removed = self.world.oracle.remove_link(ends.0, ends.1).await;
            removed.expect("a link that was there can be removed");
        }
        self.cut = cut;
        self.cuts += 1;
        let pause =
            Duration::from_millis(u64::try_from(500 + self.random.below(4_000)).unwrap_or(0));
        self.heals_at = Some(self.elapsed + pause);
    }

    pub(super) async fn heal(&mut self) {
        for (from, to) in std::mem::take(&mut self.cut) {
            self.connect(from, to).await;
        }
        self.heals_at = None;
    }

    pub(super) async fn connect_all(&self) {
        let count = self.machines.len();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                self.connect(from, to).await;
            }
        }
    }

    pub(super) async fn connect(&self, from: usize, to: usize) {
        let lost = u64::from(self.scenario.faults.lost_per_mille);
        let link = Link {
            latency: self.scenario.latency,
            jitter: self.scenario.jitter,
            success_rate: Probability::new(1_000 - lost.min(999), 1_000)
                .expect("a part of a thousand is a probability"),
        };
        let ends = (self.machines[from].peer(), self.machines[to].peer());
        let added = self.world.oracle.add_link(ends.0, ends.1, link).await;
        added.expect("a link that was not there can be added");
    }
}
