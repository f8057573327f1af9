//! Lists that come in pages, as one stream.

use std::future::Future;

use futures_util::stream::{self, Stream, TryStreamExt as _};

use crate::api::Error;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// How many items the whole list has, when the service says.
    pub total: Option<u64>,
}

/// All items of a list whose `offset` counts pages from 0: `fetch(offset)` is asked until the list is at its end.
///
/// The service's total decides, then the first page that is not full; an empty page always ends the list, whatever the total says.
pub fn by_page<T, F>(page_size: usize, fetch: impl Fn(u64) -> F) -> impl Stream<Item = Result<T, Error>>
where
    F: Future<Output = Result<Page<T>, Error>>,
{
    let start = Some((0_u64, 0_u64, fetch));
    stream::try_unfold(start, move |state| async move {
        let Some((offset, seen, fetch)) = state else { return Ok::<_, Error>(None) };
        let page = fetch(offset).await?;
        let length = page.items.len();
        let seen = seen + length as u64;
        let is_last = length == 0 || page.total.map_or(length < page_size, |total| seen >= total);
        let next = (!is_last).then_some((offset + 1, seen, fetch));
        Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
    })
    .try_flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::TryStreamExt as _;

    use super::{Page, by_page};
    use crate::api::Error;

    async fn collected(pages: &[&[u32]], total: Option<u64>) -> (Vec<u32>, u64) {
        let asked = AtomicU64::new(0);
        let all = by_page(2, |offset| {
            asked.fetch_add(1, Ordering::Relaxed);
            let items = pages.get(offset as usize).copied().unwrap_or_default().to_vec();
            async move { Ok::<_, Error>(Page { items, total }) }
        });
        let items = all.try_collect().await.unwrap();
        (items, asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn the_list_ends_where_the_service_says() {
        assert_eq!(collected(&[&[1, 2], &[3]], Some(3)).await, (vec![1, 2, 3], 2));
        assert_eq!(collected(&[&[1, 2], &[3]], None).await, (vec![1, 2, 3], 2));
        assert_eq!(collected(&[&[1, 2], &[3, 4]], Some(4)).await, (vec![1, 2, 3, 4], 2));
        // A total that is wrong does not ask for ever.
        assert_eq!(collected(&[&[1, 2]], Some(9)).await, (vec![1, 2], 2));
        assert_eq!(collected(&[], None).await, (vec![], 1));
    }
}
