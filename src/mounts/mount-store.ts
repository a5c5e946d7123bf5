import type { MountStore } from '../core/backend.ts'
import { key, mountShard, pathOf, shardOf, type Change, type Store } from '../core/store.ts'

/**
 * A Store confined to a mount's shard. A record that is written through it without a name is listed
 * under `all/`, so that everything of a mount can be found and removed when the mount goes.
 */
export function createMountStore (store: Store, accessor: string): MountStore {
  const shard = mountShard(accessor)

  function listed (change: Change): Change {
    if (shardOf(change.key) !== shard) throw new Error('a mount writes only to its own shard')
    if (change.op !== 'put') return change
    return change.names?.length ? change : { ...change, names: [`all/${pathOf(change.key)}`] }
  }

  return {
    get: (paths) => store.get(paths.map((path) => key(shard, path))),
    key: (path) => key(shard, path),
    commit: (changes, options) => store.commit(changes.map(listed), options),
    list: (prefix, page) => store.list(prefix, { ...page, shard })
  }
}

/** Removes every record of a mount, in bounded batches; repeatable. */
export async function wipeMount (store: Store, accessor: string): Promise<void> {
  const shard = mountShard(accessor)
  for (;;) {
    const page = await store.list('', { shard, limit: 200 })
    const keys = [...new Set(page.flatMap((named) => named.key ?? []))]
    if (keys.length === 0) return
    await store.commit(keys.map((key) => ({ op: 'delete', key })), { strong: true })
  }
}
