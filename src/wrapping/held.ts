import type { Store } from '../core/store.ts'

const batch = 50

/**
 * Removes what a token held besides its leases: its cubbyhole and a wrapped answer. Repeatable,
 * in bounded batches; everything of a token is in its own shard.
 */
export async function removeHeld (store: Store, accessor: string): Promise<void> {
  const shard = accessor.slice(0, 2)
  for (;;) {
    const page = await store.list(`held-by/${accessor}/`, { shard, limit: batch })
    const keys = page.flatMap((named) => named.key ?? [])
    if (keys.length === 0) return
    await store.commit(keys.map((key) => ({ op: 'delete', key })), { strong: true })
  }
}
