import t from 'tap'
import type { MountStore } from '../../../src/core/backend.ts'
import { drawStamp } from '../../../src/core/store.ts'
import { newKey, putKey } from '../../../src/engines/kv/key-record.ts'
import { listDetails, listNames } from '../../../src/engines/kv/list.ts'
import { createKvRig, refusalOf } from './rig.ts'

t.test('custom metadata have limits, and a refusal repeats nothing of them (SEC-208, SEC-201)', async (t) => {
  const rig = createKvRig()
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, 'v']))
  const refused = [
    many, { ['k'.repeat(129)]: 'canary' }, { k: `canary${'v'.repeat(507)}` }, { '': 'canary' }, { k: '' }, { k: 'canary\u0001' },
    { 'canary\n': 'v' }, { k: { a: 'canary' } }, { k: ['canary'] }, { k: 1 }, { k: true }, { k: null }, { k: '\u202ecanary' }, { k: 'é'.repeat(257) }
  ]
  for (const custom of refused) {
    const refusal = await refusalOf(rig.run('write', 'metadata/a', { custom_metadata: custom }))
    t.match(refusal, /custom_metadata validation failed/)
    t.notMatch(refusal, /canary/)
  }
  for (const custom of ['canary', ['canary'], 1]) {
    t.notMatch(await refusalOf(rig.run('write', 'metadata/a', { custom_metadata: custom })), /canary/)
  }
  t.equal(await refusalOf(rig.run('read', 'metadata/a')), '', 'nothing was written')
  await rig.run('write', 'metadata/a', { custom_metadata: { ['k'.repeat(128)]: 'v'.repeat(512), 'sp ace': 'ü', __proto__x: 'p' } })
  await rig.run('patch', 'metadata/a', '{"custom_metadata":{"__proto__":"x","sp ace":null}}')
  t.strictSame(Object.keys((await rig.answered('read', 'metadata/a'))['custom_metadata'] as object).slice(1), ['__proto__x', '__proto__'])
  await rig.run('patch', 'metadata/a', { custom_metadata: null })
  t.equal((await rig.answered('read', 'metadata/a'))['custom_metadata'], null)
})

t.test('lists end at folders (SEC-205)', async (t) => {
  const rig = createKvRig()
  for (const path of ['a', 'a/b', 'a/bc', 'a/b/c', 'ab/x', 'a-b', 'z/y/x']) await rig.put(path, {})
  const list = async (path: string, more = {}) => (await rig.answered('list', path, more)).keys
  t.strictSame(await list('metadata'), ['a', 'a-b', 'a/', 'ab/', 'z/'])
  t.strictSame(await list('metadata/a'), ['b', 'b/', 'bc'])
  t.strictSame(await list('metadata/a/b'), ['c'])
  t.strictSame(await list('metadata/a/bc'), [])
  t.strictSame(await list('metadata', { limit: 2 }), ['a', 'a-b'])
  t.strictSame(await list('metadata', { after: 'a-b', limit: '2' }), ['a/', 'ab/'])
  t.strictSame(await list('metadata', { after: 'ab/' }), ['z/'])
  t.match(await refusalOf(rig.run('list', 'metadata', { after: 'a\0' })), /not a name/)
  const scan = async (path: string, more = {}) => (await rig.answered('scan', path, more)).keys
  const all = await scan('metadata')
  t.strictSame(all, all.filter((name) => !name.endsWith('/')), 'a scan tells keys, and no folders')
  t.ok(['a', 'a-b', 'a/b', 'a/b/c', 'a/bc'].every((name) => all.includes(name)))
  t.strictSame(await scan('metadata/a'), ['b', 'b/c', 'bc'], 'relative to the folder')
  t.strictSame(await scan('metadata', { after: 'a-b', limit: 2 }), all.slice(all.indexOf('a-b') + 1).slice(0, 2))
  t.same(Object.keys((await rig.answered('scan', 'detailed-metadata/a'))['key_info'] as object), ['b', 'b/c', 'bc'])
  t.same(Object.keys((await rig.answered('list', 'detailed-metadata/a'))['key_info'] as object), ['b', 'b/', 'bc'])
})

/** A folder with any number of keys, of which each has as many versions as it is told. */
function endless (count: number, versions = 1) {
  const nameOf = (n: number) => `k${String(n).padStart(9, '0')}`
  const key = { ...newKey(0), current: versions, versions: Array.from({ length: versions }, (_, n) => ({ number: n + 1, createdMs: 0, deletionMs: 0, destroyed: false })) }
  const read = { names: 0, records: 0 }
  const store: MountStore = {
    key: (path) => `m-x:${path}`,
    commit: async () => [],
    async get (paths) {
      read.records += paths.length
      return paths.map((path) => {
        const change = putKey(store, path, { key, text: null }, 'absent', drawStamp())
        return change.op === 'put' ? { key: change.key, value: change.value, stamp: '', used: 0, usesMax: 0 } : null
      })
    },
    async list (_prefix, { after, limit }) {
      const from = after === undefined ? 0 : Number(after.slice(1)) + 1
      read.names += limit
      return Array.from({ length: Math.max(0, Math.min(limit, count - from)) }, (_, n) => ({ name: nameOf(from + n), key: 'm-x:k' }))
    }
  }
  const asked = (limit = 0) => ({ path: '', after: undefined, limit })
  return { read, asked, at: { store, request: { path: 'kv/metadata' } } }
}

t.test('an answer tells at most 100,000 names, or what is known of some thousand versions; more are asked for by pages (SEC-206)', async (t) => {
  const full = endless(100_000)
  t.equal((await listNames(full.at, full.asked(), false)).length, 100_000)
  const more = endless(10_000_000)
  for (const limit of [0, -1, 100_001, 1e9]) await t.rejects(listNames(more.at, more.asked(limit), false), /at most 100000 names/, `${limit}`)
  t.ok(more.read.names < 500_000, 'and is refused before all was read')
  t.equal((await listNames(more.at, more.asked(100_000), true)).length, 100_000)

  for (const [count, versions, isTold] of [[1000, 10, true], [10_000, 1, true], [20_000, 1, false], [100, 2000, false], [9, 2000, true]] as const) {
    const { at, asked, read } = endless(count, versions)
    const told = listDetails(at, asked(), false, () => ({}))
    if (isTold) t.equal(((await told)['keys'] as string[]).length, count)
    else await t.rejects(told, /too much/, `${count} of ${versions}`)
    t.ok(read.records <= 20_050)
  }
  const { at, asked } = endless(1_000_000, 10)
  t.equal(((await listDetails(at, asked(1000), false, () => ({})))['keys'] as string[]).length, 1000)
})

t.test('a long folder is listed whole, and by pages (SEC-206)', async (t) => {
  const rig = createKvRig()
  for (let i = 0; i < 2500; i++) await rig.put(`f/k${String(i).padStart(4, '0')}`, {})
  const { keys } = await rig.answered('list', 'metadata/f')
  t.equal(keys.length, 2500)
  const paged: string[] = []
  for (let last = ''; ;) {
    const page = (await rig.answered('list', 'metadata/f', { after: last, limit: 999 })).keys
    paged.push(...page)
    last = page.at(-1) ?? ''
    if (page.length < 999) break
  }
  t.strictSame(paged, keys)
})

t.test('the number of versions that a key keeps is bounded', async (t) => {
  const rig = createKvRig()
  for (const count of [-1, 2001]) {
    t.equal(await refusalOf(rig.run('write', 'metadata/a', { max_versions: count })), 'max_versions must be between 0 and 2000')
    t.equal(await refusalOf(rig.run('write', 'config', { max_versions: count })), 'max_versions must be between 0 and 2000')
  }
})
