import t from 'tap'
import { createRevision } from '../../src/core/revision.ts'
import { StoreIntegrity, StoreUnavailable, type Store } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { until } from '../helpers/redis.ts'
import { createRig, createShared, textAt } from './rig.ts'

/** A store that can be cut off, or have one record that does not open. */
function breakable () {
  const state = { isCut: false, broken: '' }
  const wrap = (store: Store): Store => ({
    ...store,
    async get (keys) {
      if (state.isCut) throw new StoreUnavailable()
      for (const key of keys) if (key === state.broken) throw new StoreIntegrity(key)
      return store.get(keys)
    }
  })
  return { state, wrap }
}

t.test('SEC-375 FLT-063 what is held in memory decides nothing once it is a second old', async (t) => {
  const store = createMemoryStore()
  let nowMs = 0
  const revision = createRevision({ store, monotonicMs: () => nowMs })
  let reloads = 0
  revision.follow(async () => { reloads++ })
  t.notOk(revision.isFresh(), 'nothing was looked at yet')
  await revision.commit([])
  await revision.poll()
  t.ok(revision.isFresh())
  nowMs = 1000
  t.equal(revision.freshen(), undefined, 'no look within the second')
  nowMs = 1001
  t.notOk(revision.isFresh())
  const before = reloads
  await createRevision({ store }).commit([])
  await Promise.all([revision.freshen(), revision.freshen(), revision.freshen()])
  t.equal(reloads, before + 1, 'those that ask at once share a look')
  t.ok(revision.isFresh())
})

t.test('SEC-032 FLT-068 a broker that cannot read what changed refuses, and does not go on by what it knew', async (t) => {
  const { state, wrap } = breakable()
  const shared = createShared()
  const [other, rig] = [await createRig(t, { shared }), await createRig(t, { shared, wrap })]
  await other.must('write', 'sys/policies/acl/wide', { policy: 'path "sys/mounts" { capabilities = ["read"] }' })
  await other.must('write', 'sys/policies/acl/broken', { policy: 'path "x" { capabilities = ["read"] }' })
  const clientToken = textAt(await other.must('write', 'auth/token/create', { policies: ['wide'] }), 'auth', 'client_token')
  const code = async () => (await rig.ask('read', 'sys/mounts', { clientToken })).code
  await until('the token is allowed', async () => await code() === 'ok')
  state.broken = 'sys:policy/broken'
  await other.must('delete', 'sys/policies/acl/wide')
  await until('it is refused', async () => await code() === 'StoreIntegrity')
  t.equal(await code(), 'StoreIntegrity', 'and stays so')
  state.broken = ''
  t.equal(await code(), 'permission_denied', 'until it can read: then it knows')
})

t.test('FLT-068 SEC-258 a broker that is cut off from its store refuses, and writes down that it did', async (t) => {
  const { state, wrap } = breakable()
  const rig = await createRig(t, { wrap })
  await rig.must('read', 'sys/mounts')
  const before = rig.audit().length
  state.isCut = true
  const asked = [rig.ask('read', 'sys/mounts'), rig.ask('write', 'auth/approle/login', { clientToken: null, data: { role_id: 'r', secret_id: 's' } })]
  for (const { code } of await Promise.all(asked)) t.equal(code, 'StoreUnavailable')
  const entries = rig.audit().slice(before)
  t.strictSame(entries.map(({ type }) => type).sort(), ['request', 'request', 'response', 'response'])
  t.strictSame(new Set(entries.map(({ request }) => request.path)), new Set(['sys/mounts', 'auth/approle/login']))
  state.isCut = false
  t.equal((await rig.ask('read', 'sys/mounts')).code, 'ok')
})
