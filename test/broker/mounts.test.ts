import t from 'tap'
import { createRevision } from '../../src/core/revision.ts'
import type { Store } from '../../src/core/store.ts'
import { createMountTable, plainConfig } from '../../src/mounts/mount-table.ts'
import { mac } from '../mounts/rig.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const systemTtls = { ttlSecondsDefault: 60, ttlSecondsMax: 60 }
const mountAt = (path: string) => ({
  table: 'secret', path, type: 'kv', description: '', options: null, config: plainConfig, local: false, sealWrap: false
} as const)

/** Lets everything run that waits for nothing but its turn. */
async function turns (count: number): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => { setImmediate(resolve) })
}

t.test('a load that is slow does not bring back what a later one did not find any more', async (t) => {
  const store = createMemoryStore()
  let held: Promise<void> = Promise.resolve()
  const slow: Store = {
    ...store,
    async get (keys) {
      const found = await store.get(keys)
      if (keys[0]?.startsWith('sys:mount/')) await held
      return found
    }
  }
  const revision = createRevision({ store: slow })
  const mounts = createMountTable({ clock: Date, mac, store: slow, revision, systemTtls })
  revision.follow(mounts.load)
  const { accessor } = await mounts.enable(mountAt('a'))
  let release = () => {}
  held = new Promise((resolve) => { release = resolve })
  const early = mounts.load()
  await turns(1)
  held = Promise.resolve()
  const removed = mounts.remove(accessor)
  await turns(20)
  release()
  await Promise.all([early, removed])
  t.equal(mounts.find('secret', 'a'), null)
})

t.test('SEC-027 a path leads to the mount whose path it begins with, segment by segment', async (t) => {
  const store = createMemoryStore()
  const revision = createRevision({ store })
  const mounts = createMountTable({ clock: Date, mac, store, revision, systemTtls })
  revision.follow(mounts.load)
  for (const path of ['kv', 'kv-prod', 'team/a/b']) await mounts.enable(mountAt(path))
  const found = (path: string) => {
    const resolved = mounts.resolve(path)
    return resolved === null ? null : `${resolved.mount.path} ${resolved.rest}`
  }
  t.strictSame(
    ['kv', 'kv/x', 'kv-prod/x', 'kv-prodx/x', 'kvx', 'team/a', 'team/a/b', 'team/a/b/c/d', 'team/a/bc', `kv/${'x'.repeat(900)}`, 'x'.repeat(900), ''].map(found),
    ['kv ', 'kv x', 'kv-prod x', null, null, null, 'team/a/b ', 'team/a/b c/d', null, `kv ${'x'.repeat(900)}`, null, null])
})

t.test('SEC-301 looking a path up costs no more for many segments than its mounts are long', async (t) => {
  const store = createMemoryStore()
  const revision = createRevision({ store })
  const mounts = createMountTable({ clock: Date, mac, store, revision, systemTtls })
  revision.follow(mounts.load)
  await mounts.enable(mountAt('kv'))
  const long = Array.from({ length: 1024 }, () => 'a').join('/')
  const from = performance.now()
  for (let i = 0; i < 10_000; i++) mounts.resolve(long)
  t.ok(performance.now() - from < 1000, 'ten thousand of the longest paths within a second')
})
