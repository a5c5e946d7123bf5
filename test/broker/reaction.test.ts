import t from 'tap'
import { createReaction, type Culprit } from '../../src/broker/reaction.ts'
import { encodeRecord } from '../../src/core/records.ts'
import { pathOf, shardOf, type Change, type Store } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { tokenOf } from '../audit/fixtures.ts'

const secretIdAccessor = '7c0ffee0-0000-4000-8000-000000000000'
const lineage = { secretIdAccessor, mountAccessor: 'auth_approle_1' }
const culprit: Culprit = { mount: 'team/kv', tokenAccessor: '4fAbCdEfGhIjKlMnOpQrStUv', lineage: null }

/** A login's token as it is stored. */
function putToken (accessor: string, itsSecretId = secretIdAccessor): Change {
  const token = tokenOf({ accessor, renewal: { role: 'job', incarnation: 'i', secretIdAccessor: itsSecretId } })
  return {
    op: 'put', key: `${accessor.slice(0, 2)}:token/${accessor}`, value: encodeRecord(token), names: [`token/${lineage.mountAccessor}/login/${accessor}`]
  }
}

function createRig () {
  const inner = createMemoryStore()
  const done: string[] = []
  const journal: unknown[] = []
  const fails = { endSecretId: false, journal: false, commits: false }
  const looks: string[] = []
  let nudges = 0
  const store: Store = {
    ...inner,
    async get (keys) {
      looks.push(...keys)
      return inner.get(keys)
    },
    async commit (changes, options) {
      if (fails.commits) throw new Error('killed')
      return inner.commit(changes, options)
    }
  }
  const reaction = createReaction({
    store,
    nudge: () => { nudges++ },
    async revokeToken (accessor) {
      done.push(accessor)
      await inner.commit([{ op: 'delete', key: `${accessor.slice(0, 2)}:token/${accessor}` }])
      return true
    },
    async endSecretId (accessor) {
      if (fails.endSecretId) throw new Error('killed')
      done.push(accessor)
    },
    async journal (mount, data, run) {
      if (fails.journal) throw new Error('no device takes entries')
      journal.push({ mount, data })
      await run()
    }
  })
  return {
    store: inner, reaction, done, journal, fails, looks, nudges: () => nudges,
    /** One turn of the sweep; answers how many records it took. */
    async turn (nowMs: number): Promise<number> {
      const due = await inner.claim({ nowMs, limit: 50, holdMs: 1000 })
      await reaction.finish(due, nowMs)
      return due.length
    }
  }
}

t.test('FLT-011 a reaction that was cut off is done again, and ends the secret_id before the tokens that came of it', async (t) => {
  const { store, reaction, done, fails, turn } = createRig()
  await store.commit([putToken('7csibling'), putToken('7cstranger', 'other')])
  await reaction.queue({ ...culprit, lineage }, 0)
  fails.endSecretId = true
  await t.rejects(turn(0))
  t.strictSame(done, [], 'first the secret_id, or a login under way would be missed')
  fails.endSecretId = false
  await turn(2000)
  t.strictSame(done, [secretIdAccessor, culprit.tokenAccessor, '7csibling'])
  t.equal(await turn(9000), 0)
})

t.test('of two reactions to one token neither replaces the other', async (t) => {
  const { reaction, done, turn } = createRig()
  await reaction.queue({ ...culprit, lineage }, 0)
  await reaction.queue({ ...culprit, mount: 'other' }, 0)
  t.equal(await turn(0), 2)
  t.ok(done.includes(secretIdAccessor))
})

t.test('many tokens are looked at a page at a turn, from where the last turn came, and those of other secret_ids hardly at all', async (t) => {
  const { store, reaction, done, fails, looks, nudges, turn } = createRig()
  const own = Array.from({ length: 1200 }, (_, n) => `7cown${String(n).padStart(17, '0')}`)
  for (let at = 0; at < own.length; at += 200) await store.commit(own.slice(at, at + 200).map((accessor) => putToken(accessor)))
  for (const shard of ['7b', '7d', 'aa']) {
    await store.commit(Array.from({ length: 200 }, (_, n) => putToken(`${shard}far${String(n).padStart(17, '0')}`, 'other')))
  }
  await reaction.queue({ ...culprit, lineage }, 0)
  const before = looks.length
  await turn(0)
  t.equal(done.length, 502, 'the secret_id, the token, and a page')
  t.equal(nudges(), 2, 'the sweep goes on at once')
  fails.commits = true
  await t.rejects(turn(0))
  fails.commits = false
  let turns = 0
  for (let nowMs = 2000; await turn(nowMs) > 0; nowMs += 2000) turns++
  t.equal(turns, 1, 'what is left after two turns')
  t.strictSame(own.filter((accessor) => !done.includes(accessor)), [])
  t.equal(done.filter((accessor) => accessor === secretIdAccessor).length, 1)
  t.ok(looks.slice(before).every((key) => shardOf(key) === '7c' && pathOf(key).startsWith('token/7cown')))
})

t.test('what is done is audited first, and without the entry it is not done', async (t) => {
  const { reaction, done, journal, fails, turn } = createRig()
  await reaction.queue({ ...culprit, lineage }, 0)
  fails.journal = true
  await t.rejects(turn(0))
  t.strictSame(done, [])
  fails.journal = false
  await turn(5000)
  t.strictSame(journal, [{ mount: 'team/kv', data: { accessor: culprit.tokenAccessor, secret_id_accessor: secretIdAccessor } }])
})
