import type { Test } from 'tap'
import {
  drawStamp, key, SHARDS, StoreConflict, SYS, type Change, type Entry, type Put, type Store
} from '../../src/core/store.ts'

const bytes = (text: string) => Buffer.from(text, 'utf8')
const put = (name: string, value = 'x', more: Partial<Put> = {}): Put => {
  return { op: 'put', key: name, value: bytes(value), ...more }
}

async function only (store: Store, name: string): Promise<Entry | null> {
  const [entry] = await store.get([name])
  return entry ?? null
}

async function textOf (store: Store, name: string): Promise<string | null> {
  const entry = await only(store, name)
  return entry === null ? null : Buffer.from(entry.value).toString('utf8')
}

async function reasonOf (commit: Promise<unknown>): Promise<unknown> {
  try {
    await commit
    return null
  } catch (error) {
    if (!(error instanceof StoreConflict)) throw error
    return { index: error.index, key: error.key, reason: error.reason }
  }
}

const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name)

/** What every Store must do. Each adapter's test calls this with a way to open an empty one. */
export function storeContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('reading and writing', (t) => readingContract(t, open))
  t.test('conditions', (t) => conditionContract(t, open))
  t.test('uses and takes', (t) => useContract(t, open))
  t.test('lists', (t) => listContract(t, open))
  t.test('due times', (t) => dueContract(t, open))
  t.test('what must not get in', (t) => refusalContract(t, open))
  t.end()
}

function readingContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('get answers in the order asked, from any shards, null where absent', async (t) => {
    const store = await open(t)
    await store.commit([put('00:a', 'one')])
    await store.commit([put('ff:a', 'two')])
    await store.commit([put('sys:a', 'three')])
    await store.commit([put('m-kv_1:a', 'four')])
    const asked = ['ff:a', '00:absent', 'm-kv_1:a', '00:a', 'sys:a', 'ff:a']
    const found = await store.get(asked)
    t.strictSame(found.map((entry) => entry === null ? null : Buffer.from(entry.value).toString()),
      ['two', null, 'four', 'one', 'three', 'two'])
    t.strictSame(found.map((entry) => entry?.key ?? null),
      ['ff:a', null, 'm-kv_1:a', '00:a', 'sys:a', 'ff:a'])
    t.strictSame(await store.get([]), [])
  })

  t.test('a value comes back byte for byte, empty and of 1 MiB too', async (t) => {
    const store = await open(t)
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const big = Buffer.alloc(1_048_576, 7)
    for (const value of [Buffer.alloc(0), every, big]) {
      await store.commit([{ op: 'put', key: '10:v', value }])
      const entry = await only(store, '10:v')
      t.ok(entry !== null && Buffer.compare(entry.value, value) === 0, `${value.length} bytes`)
    }
  })

  t.test('a value that its caller changes afterwards stays as it was written', async (t) => {
    const store = await open(t)
    const value = bytes('as written')
    const written = store.commit([{ op: 'put', key: '10:v', value }])
    await written
    value.fill(0)
    t.equal(await textOf(store, '10:v'), 'as written')
  })

  t.test('500 records come in one read, of all shards', async (t) => {
    const store = await open(t)
    const keys = Array.from({ length: 500 }, (_, n) => key(SHARDS[n % 256] ?? '', `many/${n}`))
    for (const name of keys) await store.commit([put(name, name)])
    const found = await store.get(keys)
    t.strictSame(found.map((entry) => String(entry?.key)), keys)
  })

  t.test('a stamp that the writer drew is the stamp of the record, else a new one is', async (t) => {
    const store = await open(t)
    const stamp = drawStamp()
    await store.commit([put('10:v', 'one', { stamp })])
    t.equal((await only(store, '10:v'))?.stamp, stamp)
    await store.commit([put('10:v', 'two')])
    const other = (await only(store, '10:v'))?.stamp ?? ''
    t.match(other, /^[0-9a-f]{16}$/)
    t.not(other, stamp)
  })

  t.test('hostile paths round-trip and touch nothing else (SEC-209)', async (t) => {
    const store = await open(t)
    const paths = [
      '{', '}', '{a}{b}', 'a}b{c', '*', '?', '[a]', 'a:b', ':', 'r\r\nSET x y', '__proto__', 'constructor',
      'i', 'd', 'q', 'i:sys', '\\', '\'', '"; drop table record; --', '%00', 'ü', '\u{1F511}', '\uFFFF',
      '\u0001', 'a/../b', 'x'.repeat(512)
    ]
    for (const path of paths) {
      await store.commit([put(key('20', path), path, { names: [`list/${path}`] })])
    }
    for (const path of paths) t.equal(await textOf(store, key('20', path)), path, JSON.stringify(path))
    const listed = await store.list('list/', { limit: 1000 })
    t.strictSame(names(listed).toSorted(), paths.toSorted())
    for (const path of paths) await store.commit([{ op: 'take', key: key('20', path) }])
    t.strictSame(await store.list('', { limit: 1000 }), [])
  })

  t.end()
}

function conditionContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('every condition, met and failed, names its change and its reason', async (t) => {
    const store = await open(t)
    const stamp = drawStamp()
    const other = drawStamp()
    const conditions: readonly (readonly [isThere: boolean, change: Change, reason: string | null])[] = [
      [false, put('30:a', 'x', { expect: 'absent' }), null],
      [true, put('30:a', 'x', { expect: 'absent' }), 'present'],
      [true, put('30:a', 'x', { expect: 'present' }), null],
      [false, put('30:a', 'x', { expect: 'present' }), 'absent'],
      [true, put('30:a', 'x', { expect: stamp }), null],
      [true, put('30:a', 'x', { expect: other }), 'changed'],
      [false, put('30:a', 'x', { expect: stamp }), 'absent'],
      [true, { op: 'check', key: '30:a' }, null],
      [false, { op: 'check', key: '30:a' }, 'absent'],
      [false, { op: 'check', key: '30:a', expect: 'absent' }, null],
      [true, { op: 'check', key: '30:a', expect: 'absent' }, 'present'],
      [true, { op: 'check', key: '30:a', expect: stamp }, null],
      [true, { op: 'check', key: '30:a', expect: other }, 'changed'],
      [false, { op: 'delete', key: '30:a' }, null],
      [true, { op: 'delete', key: '30:a' }, null],
      [false, { op: 'delete', key: '30:a', expect: 'present' }, 'absent'],
      [true, { op: 'delete', key: '30:a', expect: stamp }, null],
      [true, { op: 'delete', key: '30:a', expect: other }, 'changed'],
      [false, { op: 'take', key: '30:a' }, 'absent'],
      [false, { op: 'use', key: '30:a' }, 'absent'],
      [false, { op: 'use', key: '30:a', by: -1 }, 'absent']
    ]
    for (const [isThere, change, reason] of conditions) {
      await store.commit([{ op: 'delete', key: '30:a' }])
      if (isThere) await store.commit([put('30:a', 'there', { stamp })])
      const failed = await reasonOf(store.commit([put('30:before'), change]))
      const expected = reason === null ? null : { index: 1, key: '30:a', reason }
      t.strictSame(failed, expected, JSON.stringify([isThere, change.op, change]))
    }
  })

  t.test('a failed condition writes nothing, wherever it stands', async (t) => {
    const store = await open(t)
    await store.commit([
      put('30:kept', 'kept', { names: ['n/kept'], dueAtMs: 5, usesMax: 9 }), put('30:gone', 'gone')
    ])
    const before = await store.get(['30:kept', '30:gone'])
    const changes: readonly Change[] = [
      put('30:kept', 'changed', { names: ['n/other'] }),
      { op: 'take', key: '30:gone' },
      put('30:new', 'new', { names: ['n/new'], dueAtMs: 1 }),
      { op: 'check', key: '30:absent' }
    ]
    for (let turn = 0; turn < changes.length; turn++) {
      const turned = [...changes.slice(turn), ...changes.slice(0, turn)]
      t.match(await reasonOf(store.commit(turned)), { key: '30:absent', reason: 'absent' })
    }
    t.strictSame(await store.get(['30:kept', '30:gone']), before)
    t.equal(await only(store, '30:new'), null)
    t.strictSame(await store.list('n/', { limit: 10 }), [{ name: 'kept', key: '30:kept' }])
    t.equal((await store.claim({ nowMs: 100, limit: 10, holdMs: 1 })).length, 1)
  })

  t.test('256 changes are one commit', async (t) => {
    const store = await open(t)
    const changes = Array.from({ length: 256 }, (_, n) => put(`31:${n}`, String(n), { names: [`b/${n}`] }))
    await store.commit(changes)
    t.equal((await store.list('b/', { limit: 1000 })).length, 256)
    t.match(await reasonOf(store.commit([
      ...changes.slice(1).map(({ key }): Change => ({ op: 'delete', key })), { op: 'take', key: '31:no' }
    ])), { index: 255, reason: 'absent' })
    t.equal((await store.list('b/', { limit: 1000 })).length, 256)
    await store.commit(changes.map(({ key }) => ({ op: 'delete', key })))
    t.strictSame(await store.list('b/', { limit: 1000 }), [])
  })

  t.test('100 compare-and-sets on one stamp: one wins, the others learn it', async (t) => {
    const store = await open(t)
    const stamp = drawStamp()
    await store.commit([put('32:cas', 'first', { stamp })])
    const tries = await Promise.all(Array.from({ length: 100 }, (_, n) => {
      return reasonOf(store.commit([
        put('32:cas', `winner ${n}`, { expect: stamp }), put(`32:version/${n}`, 'v', { names: [`v/${n}`] })
      ]))
    }))
    const winner = tries.indexOf(null)
    t.equal(tries.filter((reason) => reason === null).length, 1)
    t.equal(tries.filter((reason) => reason !== null).length, 99)
    t.equal(await textOf(store, '32:cas'), `winner ${winner}`)
    t.strictSame(names(await store.list('v/', { limit: 10 })), [String(winner)])
  })

  t.test('what is made under a record that is being deleted is not there afterwards', async (t) => {
    const store = await open(t)
    await store.commit([put('33:parent')])
    const made = Array.from({ length: 50 }, (_, n) => reasonOf(store.commit([
      { op: 'check', key: '33:parent', expect: 'present' }, put(`33:child/${n}`, 'c', { names: [`of/${n}`] })
    ])))
    await store.commit([{ op: 'take', key: '33:parent' }, put('33:dying', 'd', { dueAtMs: 0 })])
    const atDeath = (await store.list('of/', { limit: 1000 })).length
    const outcomes = await Promise.all(made)
    t.equal((await store.list('of/', { limit: 1000 })).length, outcomes.filter((one) => one === null).length)
    t.ok(atDeath <= 50)
    t.match(await reasonOf(store.commit([{ op: 'check', key: '33:parent' }, put('33:child/late')])),
      { index: 0, reason: 'absent' })
  })

  t.end()
}

function useContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('two takers of one record: exactly one gets it', async (t) => {
    const store = await open(t)
    await store.commit([put('40:wrap', 'once', { names: ['w/1'], dueAtMs: 1 })])
    const takers = await Promise.allSettled(Array.from({ length: 20 }, () => {
      return store.commit([{ op: 'take', key: '40:wrap' }])
    }))
    const taken = takers.flatMap((one) => one.status === 'fulfilled' ? one.value : [])
    t.strictSame(taken.map(({ value }) => Buffer.from(value).toString()), ['once'])
    t.equal(await only(store, '40:wrap'), null)
    t.strictSame(await store.list('w/', { limit: 10 }), [])
    t.strictSame(await store.claim({ nowMs: 10, limit: 10, holdMs: 1 }), [])
  })

  t.test('200 users of 5 uses: 5 get one, each another count', async (t) => {
    const store = await open(t)
    await store.commit([put('41:secret', 's', { usesMax: 5 })])
    const users = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => store.commit([
      { op: 'use', key: '41:secret' }, put(`41:token/${n}`, 't', { names: [`made/${n}`] })
    ])))
    const used = users.flatMap((one) => one.status === 'fulfilled' ? one.value : [])
    t.strictSame(used.map((entry) => entry.used).toSorted(), [1, 2, 3, 4, 5])
    t.equal((await store.list('made/', { limit: 1000 })).length, 5)
    t.match(await reasonOf(store.commit([{ op: 'use', key: '41:secret' }])), { reason: 'spent' })
  })

  t.test('a use given back can be used again; none is given back below zero', async (t) => {
    const store = await open(t)
    await store.commit([put('42:s', 's', { usesMax: 1 })])
    const use = (by: 1 | -1) => store.commit([{ op: 'use', key: '42:s', by }])
    t.equal((await use(-1))[0]?.used, 0)
    t.equal((await use(1))[0]?.used, 1)
    t.match(await reasonOf(use(1)), { reason: 'spent' })
    t.equal((await use(-1))[0]?.used, 0)
    t.equal((await use(1))[0]?.used, 1)
  })

  t.test('put keeps the uses of a record that is there, and a new life begins at none', async (t) => {
    const store = await open(t)
    await store.commit([put('43:s', 'one', { usesMax: 3 })])
    await store.commit([{ op: 'use', key: '43:s' }])
    await store.commit([put('43:s', 'two', { usesMax: 9 })])
    t.match(await only(store, '43:s'), { used: 1, usesMax: 9 })
    await store.commit([put('43:s', 'three')])
    t.match(await only(store, '43:s'), { used: 1, usesMax: 0 })
    await store.commit([{ op: 'delete', key: '43:s' }])
    await store.commit([put('43:s', 'four', { usesMax: 3 })])
    t.match(await only(store, '43:s'), { used: 0, usesMax: 3 })
  })

  t.test('a record without a limit counts its uses; a use leaves stamp and value', async (t) => {
    const store = await open(t)
    await store.commit([put('44:s', 'value')])
    const before = await only(store, '44:s')
    for (let n = 1; n <= 300; n++) await store.commit([{ op: 'use', key: '44:s' }])
    t.strictSame(await only(store, '44:s'), before === null ? null : { ...before, used: 300 })
  })

  t.test('the entries that were met come in the order of the changes', async (t) => {
    const store = await open(t)
    await store.commit([put('45:a', 'a'), put('45:b', 'b'), put('45:c', 'c')])
    const met = await store.commit([
      { op: 'take', key: '45:c' }, put('45:d'), { op: 'check', key: '45:b' }, { op: 'use', key: '45:a' }
    ])
    t.strictSame(met.map((entry) => entry.key), ['45:c', '45:a'])
  })

  t.end()
}

function listContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('names of all numbered shards come sorted as bytes, page by page, once each', async (t) => {
    const store = await open(t)
    const all: string[] = []
    for (const [n, shard] of SHARDS.entries()) {
      const mine = Array.from({ length: 5 }, (_, m) => `lease/${(n * 37 + m * 101) % 997}-${shard}-${m}`)
      all.push(...mine)
      await store.commit(mine.map((name) => put(key(shard, name), 'x', { names: [name] })))
    }
    const sorted = all.map((name) => name.slice('lease/'.length)).toSorted()
    for (const limit of [1000, 97]) {
      const seen: string[] = []
      for (let after: string | undefined; ;) {
        const page = await store.list('lease/', { limit, ...(after === undefined ? {} : { after }) })
        seen.push(...names(page))
        if (page.length < limit) break
        after = page.at(-1)?.name
      }
      t.strictSame(seen, sorted, `pages of ${limit}`)
    }
    const [first] = await store.list('lease/', { limit: 1 })
    t.equal(first?.key?.slice(3), `lease/${first?.name}`)
  })

  t.test('names beyond U+FFFF sort as bytes, not as UTF-16', async (t) => {
    const store = await open(t)
    const sorted = ['a', 'z', 'é', '\uFFFD', '\u{1F511}']
    for (const name of sorted) await store.commit([put(key('50', name), 'x', { names: [`u/${name}`] })])
    t.strictSame(names(await store.list('u/', { limit: 10 })), sorted)
    t.strictSame(names(await store.list('u/', { limit: 10, after: '\uFFFD' })), ['\u{1F511}'])
  })

  t.test('one shard lists its own; all together lists neither mounts nor sys', async (t) => {
    const store = await open(t)
    for (const shard of ['00', '4f', 'm-kv_a', 'm-kv_b', SYS]) {
      await store.commit([put(key(shard, 'r'), 'x', { names: [`role/${shard}`] })])
    }
    t.strictSame(names(await store.list('role/', { limit: 10 })), ['00', '4f'])
    for (const shard of ['00', '4f', 'm-kv_a', 'm-kv_b', SYS]) {
      t.strictSame(names(await store.list('role/', { limit: 10, shard })), [shard])
      t.strictSame(names(await store.list('', { limit: 10, shard })), [`role/${shard}`])
    }
    t.strictSame(await store.list('role/', { limit: 10, shard: 'm-kv_c' }), [])
  })

  t.test('a prefix ends at a segment; a name and a folder of that name both show (SEC-205)', async (t) => {
    const store = await open(t)
    const m = (name: string) => put(key('m-kv', `meta/${name}`), 'x', { names: [`meta/${name}`] })
    await store.commit([m('a'), m('a/b'), m('a/bc'), m('a/b/c'), m('ab'), m('a0'), m('a/'.repeat(9) + 'z')])
    const folders = (prefix: string) => store.list(prefix, { limit: 100, folders: true, shard: 'm-kv' })
    t.strictSame(names(await folders('meta/')), ['a', 'a/', 'a0', 'ab'])
    t.strictSame(names(await folders('meta/a/')), ['a/', 'b', 'b/', 'bc'])
    t.strictSame(names(await folders('meta/a/b/')), ['c'])
    t.strictSame(await folders('meta/absent/'), [])
    t.equal((await folders('meta/')).find(({ name }) => name === 'a/')?.key, null)
    t.equal((await folders('meta/')).find(({ name }) => name === 'a')?.key, 'm-kv:meta/a')
  })

  t.test('folders page: each once, however much is inside', async (t) => {
    const store = await open(t)
    for (let folder = 0; folder < 8; folder++) {
      await store.commit(Array.from({ length: 60 }, (_, n) => {
        return put(key('m-kv', `f${folder}/${n}`), 'x', { names: [`f/f${folder}/${n}`] })
      }))
    }
    await store.commit([put('m-kv:f3', 'x', { names: ['f/f3'] })])
    const seen: string[] = []
    for (let after: string | undefined; ;) {
      const options = { limit: 2, folders: true, shard: 'm-kv', ...(after === undefined ? {} : { after }) }
      const page = await store.list('f/', options)
      seen.push(...names(page))
      if (page.length < 2) break
      after = page.at(-1)?.name
    }
    t.strictSame(seen, ['f0/', 'f1/', 'f2/', 'f3', 'f3/', 'f4/', 'f5/', 'f6/', 'f7/'])
  })

  t.test('a put replaces the names, a delete removes them', async (t) => {
    const store = await open(t)
    await store.commit([put('51:a', 'x', { names: ['n/1', 'n/2', 'n/3', 'n/3'] })])
    t.strictSame(names(await store.list('n/', { limit: 10 })), ['1', '2', '3'])
    await store.commit([put('51:a', 'x', { names: ['n/2', 'n/4'] })])
    t.strictSame(names(await store.list('n/', { limit: 10 })), ['2', '4'])
    await store.commit([put('51:a', 'x')])
    t.strictSame(await store.list('n/', { limit: 10 }), [])
    await store.commit([put('51:a', 'x', { names: ['n/5'] })])
    await store.commit([{ op: 'delete', key: '51:a' }])
    t.strictSame(await store.list('n/', { limit: 10 }), [])
  })

  t.end()
}

function dueContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('claim hands out what is due, and being due removes nothing', async (t) => {
    const store = await open(t)
    await store.commit([put('60:late', 'late', { dueAtMs: 2001 }), put('60:soon', 'soon', { dueAtMs: 2000 })])
    await store.commit([put('m-kv:never', 'never')])
    await store.commit([put('m-kv:mount', 'mount', { dueAtMs: 1 })])
    const claim = (nowMs: number) => store.claim({ nowMs, limit: 10, holdMs: 500 })
    t.strictSame(await claim(0), [])
    const due = await claim(2000)
    t.strictSame(due.map((entry) => entry.key).toSorted(), ['60:soon', 'm-kv:mount'])
    t.equal(await textOf(store, '60:soon'), 'soon')
    t.strictSame((await claim(2001)).map((entry) => entry.key), ['60:late'])
    t.strictSame(await claim(2499), [])
    t.equal((await claim(2500)).length, 2)
  })

  t.test('a put moves or ends what is due, a use leaves it', async (t) => {
    const store = await open(t)
    await store.commit([put('61:a', 'x', { dueAtMs: 10 })])
    await store.commit([put('61:a', 'x', { dueAtMs: 50 })])
    await store.commit([{ op: 'use', key: '61:a' }])
    t.strictSame(await store.claim({ nowMs: 49, limit: 10, holdMs: 1 }), [])
    t.equal((await store.claim({ nowMs: 50, limit: 10, holdMs: 1 })).length, 1)
    await store.commit([put('61:a', 'x')])
    t.strictSame(await store.claim({ nowMs: 1000, limit: 10, holdMs: 1 }), [])
  })

  t.test('several claimers at once: each due record goes to exactly one', async (t) => {
    const store = await open(t)
    const keys: string[] = []
    for (const shard of SHARDS.slice(0, 40)) {
      const mine = Array.from({ length: 10 }, (_, n) => key(shard, `due/${n}`))
      keys.push(...mine)
      await store.commit(mine.map((name) => put(name, name, { dueAtMs: 5 })))
    }
    const claimed: string[] = []
    const worker = async () => {
      for (;;) {
        const due = await store.claim({ nowMs: 10, limit: 30, holdMs: 60_000 })
        if (due.length === 0 && claimed.length >= keys.length) return
        t.ok(due.length <= 30)
        claimed.push(...due.map((entry) => entry.key))
        if (claimed.length > keys.length) return
      }
    }
    await Promise.all([worker(), worker(), worker()])
    t.strictSame(claimed.toSorted(), keys.toSorted())
  })

  t.end()
}

function refusalContract (t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('malformed commits are refused before anything is written (SEC-355, SEC-378)', async (t) => {
    const store = await open(t)
    const value = bytes('x')
    const bad: Record<string, unknown> = {
      'nothing': [],
      'too many': Array.from({ length: 257 }, (_, n) => put(`70:${n}`)),
      'two shards': [put('70:a'), put('71:a')],
      'a key twice': [put('70:a'), { op: 'delete', key: '70:a' }],
      'no shard': [put('a')],
      'an empty path': [put('')],
      'NUL in a key': [put('70:a\0b')],
      'half a character': [put('70:\uD800')],
      'a long key': [put(`70:${'x'.repeat(5000)}`)],
      'another operation': [{ op: 'flush', key: '70:a' }],
      'a key of another type': [{ op: 'put', key: ['70:a', 'EX', '1'], value }],
      'a value of another type': [{ op: 'put', key: '70:a', value: 'text' }],
      'a list for a value': [{ op: 'put', key: '70:a', value: ['1', 'EX', '1'] }],
      'no value': [{ op: 'put', key: '70:a' }],
      'NaN for a time': [put('70:a', 'x', { dueAtMs: NaN })],
      'a text for a time': [{ op: 'put', key: '70:a', value, dueAtMs: '1' }],
      'a time that is no whole number': [put('70:a', 'x', { dueAtMs: 1.5 })],
      'endless': [put('70:a', 'x', { dueAtMs: Infinity })],
      'a time before 1970': [put('70:a', 'x', { dueAtMs: -1 })],
      'true for a limit': [{ op: 'put', key: '70:a', value, usesMax: true }],
      'no uses at all': [put('70:a', 'x', { usesMax: 0 })],
      'a limit beyond 31 bits': [put('70:a', 'x', { usesMax: 2 ** 31 })],
      'a stamp of another form': [put('70:a', 'x', { expect: '+' })],
      'a stamp of its own of another form': [put('70:a', 'x', { stamp: 'present' })],
      'five names': [put('70:a', 'x', { names: ['1', '2', '3', '4', '5'] })],
      'NUL in a name': [put('70:a', 'x', { names: ['a\0b'] })],
      'a name that is a folder': [put('70:a', 'x', { names: ['a/'] })],
      'an empty name': [put('70:a', 'x', { names: [''] })],
      'an object for a use': [{ op: 'use', key: '70:a', by: {} }],
      'two uses': [{ op: 'use', key: '70:a', by: 2 }]
    }
    for (const [name, changes] of Object.entries(bad)) {
      const commit = async () => store.commit(changes as Change[])
      await t.rejects(commit(), { name: /^(Range|Type)Error$/ }, name)
    }
    const large = store.commit([{ op: 'put', key: '70:a', value: Buffer.alloc(1_200_000) }])
    await t.rejects(large, { name: 'BrokerError', code: 'invalid_request' }, 'more than 1 MiB')
    t.equal(await only(store, '70:a'), null)
    t.strictSame(await store.list('', { limit: 10 }), [])
  })

  t.test('malformed reads are refused', async (t) => {
    const store = await open(t)
    const reads: Record<string, () => Promise<unknown>> = {
      'a key without a shard': () => store.get(['a']),
      'NUL in a key': () => store.get(['70:a\0']),
      'too many keys': () => store.get(Array.from({ length: 501 }, (_, n) => `70:${n}`)),
      'a prefix within a segment': () => store.list('lease', { limit: 1 }),
      'no limit': () => store.list('', { limit: 0 }),
      'a huge limit': () => store.list('', { limit: 1001 }),
      'NaN': () => store.list('', { limit: NaN }),
      'a claim of nothing': () => store.claim({ nowMs: 1, limit: 0, holdMs: 1 }),
      'a claim without a time': () => store.claim({ nowMs: NaN, limit: 1, holdMs: 1 }),
      'a claim that holds nothing': () => store.claim({ nowMs: 1, limit: 1, holdMs: 0 })
    }
    for (const [name, read] of Object.entries(reads)) {
      await t.rejects(async () => read(), { name: 'RangeError' }, name)
    }
    const after = async () => store.list('', { limit: 1, after: '\0' })
    await t.rejects(after(), { name: 'BrokerError', code: 'invalid_request' }, 'NUL in after')
  })

  t.test('a report tells the store and its time', async (t) => {
    const store = await open(t)
    const report = await store.inspect()
    t.ok(Math.abs(performance.now() + report.clockOffsetMs - Date.now()) < 250, 'the time is now')
    t.type(report.runId, 'string')
    t.ok(Array.isArray(report.problems))
  })

  t.test('a closed store says that it is not available', async (t) => {
    const store = await open(t)
    await store.commit([put('72:a')])
    await store.close()
    await store.close()
    await t.rejects(store.get(['72:a']), { name: 'StoreUnavailable' })
    await t.rejects(store.commit([put('72:a')]), { message: /./ })
    await t.rejects(store.list('', { limit: 1 }), { name: 'StoreUnavailable' })
  })

  t.end()
}
