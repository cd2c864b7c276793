//! What is to be done later.

use crate::Subject;
use crate::scene::NOW;
use ledger_engine::ports::Agenda;
use ledger_wire::rows::AgendaRow;

pub async fn what_is_due_comes_in_the_order_of_its_time<S: Subject>(subject: &S) {
    let [late, now, early, next] =
        [("silence", NOW - 1), ("keep_alive", NOW), ("keep_alive", 7), ("reference", NOW + 1)]
            .map(|(kind, at)| AgendaRow::new(kind, "b-1", at));
    for row in [&late, &now, &early, &next, &early] {
        subject.store().agenda_put(row).await.unwrap();
    }
    assert_eq!(subject.store().agenda_due(NOW, None, 10).await, Ok(vec![early.clone(), late.clone(), now.clone()]));
    assert_eq!(subject.store().agenda_due(NOW, None, 1).await, Ok(vec![early.clone()]));
    assert_eq!(subject.store().agenda_due(NOW, Some(&early), 1).await, Ok(vec![late.clone()]));
    assert_eq!(subject.store().agenda_due(NOW, Some(&now), 10).await, Ok(Vec::new()));
    subject.store().agenda_remove(&early).await.unwrap();
    subject.store().agenda_remove(&early).await.unwrap();
    assert_eq!(subject.store().agenda_due(NOW, None, 10).await, Ok(vec![late, now]));
}
