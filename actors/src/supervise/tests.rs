//! Claims about death and restart, with real panics and a paused clock.

use std::cell::{Cell, RefCell};
use std::future::Future;

use super::*;

/// Adds up what it is told; dies on command.
struct Adder {
    sum: u64,
    lives: Rc<Cell<u32>>,
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(Message)]
#[rtype(result = "()")]
enum Die {
    Panic,
    PanicLater,
    Stop,
}

impl Actor for Adder {
    type Context = Context<Self>;
}

impl Handler<Add> for Adder {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _: &mut Self::Context) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Die> for Adder {
    type Result = ();

    fn handle(&mut self, how: Die, ctx: &mut Self::Context) {
        match how {
            Die::Panic => panic!("told to"),
            Die::PanicLater => drop(ctx.spawn(async { panic!("told to, later") }.into_actor(self))),
            Die::Stop => ctx.stop(),
        }
    }
}

struct World {
    group: Group,
    lives: Rc<Cell<u32>>,
    escalations: Rc<RefCell<Vec<Escalation>>>,
}

impl World {
    fn new() -> Self {
        let escalations = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&escalations);
        let group = Group::new("test", Policy::default(), move |why| told.borrow_mut().push(why));
        Self { group, lives: Rc::default(), escalations }
    }

    fn adder(&self) -> Slot<Adder> {
        let lives = Rc::clone(&self.lives);
        self.group.keep("adder", move || {
            lives.set(lives.get() + 1);
            Adder { sum: 0, lives: Rc::clone(&lives) }
        })
    }
}

/// Runs on one thread under virtual time.
fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn neighbours_keep_one_recipient_across_a_panic() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let (add, die) = (slot.recipient::<Add>(), slot.recipient::<Die>());
        assert_eq!(add.send(Add(2)).await, Ok(2));
        assert_eq!(die.send(Die::Panic).await, Err(MailboxError::Closed), "its own answer died with it");
        assert_eq!(add.send(Add(3)).await, Ok(3), "a new incarnation, without the old one's sum");
        assert_eq!(world.lives.get(), 2);
    });
}

#[test]
fn a_panic_in_a_spawned_future_is_a_death_too() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let _ = slot.recipient().send(Die::PanicLater).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!((slot.recipient().send(Add(1)).await, world.lives.get()), (Ok(1), 2));
    });
}

#[test]
fn messages_sent_while_it_is_down_arrive_in_order() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let add = slot.recipient::<Add>();
        slot.recipient().try_send(Die::Panic).unwrap();
        let sums = futures::future::join_all((1..=8).map(|n| add.send(Add(n)))).await;
        let sums: Vec<u64> = sums.into_iter().flatten().collect();
        let all = [1, 3, 6, 10, 15, 21, 28, 36];
        assert!(sums == all || sums.windows(2).all(|pair| pair[0] < pair[1]), "{sums:?}");
    });
}

#[test]
fn a_stop_in_order_is_not_a_death() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        slot.recipient().send(Die::Stop).await.unwrap();
        slot.stopped().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((world.lives.get(), slot.addr().err()), (1, Some(Unavailable::Stopped)));
        assert_eq!(slot.recipient().send(Add(1)).await, Err(MailboxError::Closed));
    });
}

#[test]
fn while_it_is_down_the_slot_says_so() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let _ = slot.recipient().send(Die::Panic).await;
        let mut seat = slot.seat.clone();
        seat.wait_for(|seat| matches!(seat, Seat::Restarting)).await.unwrap();
        assert_eq!(slot.addr().err(), Some(Unavailable::Restarting));
        seat.wait_for(|seat| matches!(seat, Seat::Up(_))).await.unwrap();
    });
}

#[test]
fn six_deaths_in_a_minute_restart_the_whole_group_and_six_more_end_it() {
    run(async {
        let world = World::new();
        let (bad, good) = (world.adder(), world.adder());
        assert_eq!(good.recipient().send(Add(5)).await, Ok(5));
        let die = bad.recipient::<Die>();
        for _ in 0..6 {
            let _ = die.send(Die::Panic).await;
        }
        assert_eq!(bad.recipient().send(Add(1)).await, Ok(1), "alive again after the group's restart");
        assert_eq!(good.recipient().send(Add(5)).await, Ok(5), "its neighbour began anew with it");
        assert!(world.escalations.borrow().is_empty());
        for _ in 0..6 {
            let _ = die.send(Die::Panic).await;
        }
        bad.stopped().await;
        let escalations = world.escalations.borrow();
        assert_eq!((escalations.len(), escalations[0].deaths), (1, 6));
        assert!(escalations[0].to_string().contains("told to"), "{}", escalations[0]);
    });
}

#[test]
fn a_factory_that_panics_escalates_instead_of_spinning() {
    run(async {
        let world = World::new();
        let slot = world.group.keep("never", || -> Adder { panic!("no device") });
        slot.stopped().await;
        assert_eq!(world.escalations.borrow()[0].last, "no device");
    });
}

#[test]
fn stopping_a_group_finishes_what_waits_in_the_mailboxes() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let addr = slot.addr().unwrap();
        let waiting = addr.send(Add(7));
        drop(addr);
        let (sum, ()) = futures::future::join(waiting, world.group.stop()).await;
        assert_eq!((sum, world.lives.get()), (Ok(7), 1));
        assert_eq!(slot.addr().err(), Some(Unavailable::Stopped));
    });
}

#[test]
fn an_actor_that_will_not_stop_is_cut_off() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let kept = slot.addr().unwrap();
        world.group.stop().await;
        assert!(!kept.connected());
    });
}

#[test]
fn what_waits_for_a_dead_actor_is_bounded() {
    run(async {
        let world = World::new();
        let slot = world.adder();
        let add = slot.recipient::<Add>();
        let _ = slot.recipient().send(Die::Panic).await;
        slot.seat.clone().wait_for(|seat| matches!(seat, Seat::Restarting)).await.unwrap();
        let taken = (0..1000).filter(|_| add.try_send(Add(1)).is_ok()).count();
        assert!(taken <= FRONT + 2, "{taken}");
    });
}

impl Drop for Adder {
    fn drop(&mut self) {
        assert!(self.lives.get() > 0);
    }
}
