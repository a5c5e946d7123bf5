import t, { type Test } from 'tap'
import { decodeRecord, encodeRecord } from '../../src/core/records.ts'
import type { Entry, Key, Put, Store } from '../../src/core/store.ts'
import { createBarrier } from '../../src/store/barrier.ts'
import { createKeyring, firstTerm, PURPOSES } from '../../src/store/keyring.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const term = firstTerm(0)
const keyring = createKeyring('cluster-a', [term])
const secret = 'canary-5d1f'

function open () {
  const raw = createMemoryStore()
  const alarms: Key[] = []
  const store = createBarrier({ store: raw, keyring, onIntegrityError: ({ key }) => alarms.push(key) })
  return { raw, store, alarms }
}

async function readRaw (raw: Store, key: Key): Promise<Entry> {
  const [entry] = await raw.get([key])
  if (entry === null || entry === undefined) throw new Error(`${key} is absent`)
  return entry
}

/** Writes to the bare store what someone with write access to it could put there. */
async function forge (raw: Store, entry: Entry, more: Partial<Put> = {}) {
  const { key, value, stamp, usesMax } = entry
  const limit = usesMax === 0 ? {} : { usesMax }
  await raw.commit([{ op: 'put', key, value, stamp, ...limit, ...more }])
}

async function refuses (t: Test, store: Store, key: Key, name: string) {
  await t.rejects(store.get([key]), { name: 'StoreIntegrity', message: 'integrity error', key }, name)
}

t.test('no value is readable in the bare store', async (t) => {
  const { raw, store } = open()
  await store.commit([{ op: 'put', key: '00:data/a/1', value: Buffer.from(secret) }])
  const { value } = await readRaw(raw, '00:data/a/1')
  t.notOk(Buffer.from(value).includes(secret))
  t.equal(Buffer.from((await readRaw(store, '00:data/a/1')).value).toString(), secret)
})

t.test('a flipped bit in any byte of a record does not open (SEC-204, CRY-011)', async (t) => {
  const { raw, store, alarms } = open()
  const key = '00:token/a'
  await store.commit([{ op: 'put', key, value: Buffer.from(secret) }])
  const entry = await readRaw(raw, key)
  for (let at = 0; at < entry.value.length; at++) {
    const value = Buffer.from(entry.value)
    value.writeUInt8(value.readUInt8(at) ^ (1 << (at % 8)), at)
    await forge(raw, { ...entry, value })
    await refuses(t, store, key, `byte ${at}`)
  }
  t.equal(alarms.length, entry.value.length, 'each rings the alarm')
  await forge(raw, entry)
  t.equal((await readRaw(store, key)).value.length, secret.length, 'unchanged it opens')
})

t.test('a cut record does not open, nor one with a tag of 12, 8 or 4 bytes (SEC-204, CRY-011)', async (t) => {
  const { raw, store } = open()
  const key = '00:token/a'
  await store.commit([{ op: 'put', key, value: Buffer.from(secret) }])
  const entry = await readRaw(raw, key)
  for (let length = 0; length < entry.value.length; length++) {
    await forge(raw, { ...entry, value: entry.value.slice(0, length) })
    await refuses(t, store, key, `${length} bytes`)
  }
  await forge(raw, { ...entry, value: Buffer.concat([entry.value, Buffer.alloc(1)]) })
  await refuses(t, store, key, 'one byte more')
})

t.test('records that exchange their ciphertexts do not open (SEC-202, CRY-010)', async (t) => {
  const pairs: Record<string, [Key, Key]> = {
    'two paths': ['m-kv_a:data/a/1', 'm-kv_a:data/b/1'],
    'two versions': ['m-kv_a:data/a/1', 'm-kv_a:data/a/2'],
    'two mounts': ['m-kv_a:data/a/1', 'm-kv_b:data/a/1'],
    'a value and a token': ['m-kv_a:data/a/1', '00:token/a'],
    'a value and its metadata': ['m-kv_a:data/a/1', 'm-kv_a:meta/a'],
    'two tokens': ['00:token/a', '00:token/b'],
    'two shards': ['00:token/a', '01:token/a']
  }
  for (const [name, [one, other]] of Object.entries(pairs)) {
    const { raw, store } = open()
    await store.commit([{ op: 'put', key: one, value: Buffer.from(`${secret}-one`) }])
    await store.commit([{ op: 'put', key: other, value: Buffer.from(`${secret}-other`) }])
    const first = await readRaw(raw, one)
    const second = await readRaw(raw, other)
    await forge(raw, { ...second, key: one })
    await forge(raw, { ...first, key: other })
    await refuses(t, store, one, name)
    await refuses(t, store, other, name)
  }
})

t.test('each thing that a value is bound to binds it alone (CRY-010)', async (t) => {
  const { raw, store } = open()
  const key = '00:secret/a'
  await store.commit([{ op: 'put', key, value: Buffer.from(secret), usesMax: 2 }])
  const entry = await readRaw(raw, key)
  await forge(raw, entry, { stamp: '0123456789abcdef' })
  await refuses(t, store, key, 'another stamp')
  await forge(raw, entry, { usesMax: 3 })
  await refuses(t, store, key, 'another limit')
  const { usesMax: _, ...unlimited } = { op: 'put' as const, ...entry }
  await raw.commit([{ op: 'put', key, value: unlimited.value, stamp: unlimited.stamp }])
  await refuses(t, store, key, 'no limit')
  await forge(raw, entry)
  t.ok(await readRaw(store, key), 'as it was it opens')
  const elsewhere = createBarrier({ store: raw, keyring: createKeyring('cluster-b', [term]) })
  await refuses(t, elsewhere, key, 'another cluster under the same term')
  const later = createBarrier({ store: raw, keyring: createKeyring('cluster-a', [{ ...firstTerm(0), number: 2 }]) })
  await refuses(t, later, key, 'a term that is not in the keyring')
})

t.test('more uses than the sealed limit are an integrity error', async (t) => {
  const bare = createMemoryStore()
  const store = createBarrier({
    store: { ...bare, get: async (keys) => (await bare.get(keys)).map((one) => one && { ...one, used: 6 }) }, keyring
  })
  await store.commit([{ op: 'put', key: '00:secret/a', value: Buffer.from('x'), usesMax: 5 }])
  await refuses(t, store, '00:secret/a', 'six of five uses')
})

t.test('take and use open what they met, and refuse what was changed', async (t) => {
  const { raw, store } = open()
  await store.commit([{ op: 'put', key: '00:wrap/a', value: Buffer.from(secret), usesMax: 3 }])
  const [used] = await store.commit([{ op: 'use', key: '00:wrap/a' }])
  t.equal(Buffer.from(used?.value ?? []).toString(), secret)
  const entry = await readRaw(raw, '00:wrap/a')
  await forge(raw, { ...entry, value: Buffer.from('forged') })
  await t.rejects(store.commit([{ op: 'take', key: '00:wrap/a' }]), { name: 'StoreIntegrity' })
})

t.test('a bad record rings the alarm and does not keep a sweep from the others', async (t) => {
  const { raw, store, alarms } = open()
  await store.commit([{ op: 'put', key: '00:lease/a', value: Buffer.from('a'), dueAtMs: 1 }])
  await store.commit([{ op: 'put', key: '00:lease/b', value: Buffer.from('b'), dueAtMs: 1 }])
  await forge(raw, await readRaw(raw, '00:lease/a'), { value: Buffer.from('forged'), dueAtMs: 1 })
  const due = await store.claim({ nowMs: 1, limit: 10, holdMs: 1 })
  t.strictSame(due.map(({ key }) => key), ['00:lease/b'])
  t.strictSame(alarms, ['00:lease/a'])
})

t.test('a key seals no more than its limit, and what older ones sealed opens (CRY-012)', async (t) => {
  const raw = createMemoryStore()
  const store = createBarrier({ store: raw, keyring, sealsMax: 1000 })
  const starts = new Map<string, number>()
  for (let n = 0; n < 2500; n++) {
    const key = `00:token/${n}`
    await store.commit([{ op: 'put', key, value: Buffer.from(String(n)) }])
    const start = Buffer.from((await readRaw(raw, key)).value).toString('hex', 6, 22)
    starts.set(start, (starts.get(start) ?? 0) + 1)
  }
  t.strictSame([...starts.values()], [1000, 1000, 500])
  for (const n of [0, 999, 1000, 2499]) {
    t.equal(Buffer.from((await readRaw(store, `00:token/${n}`)).value).toString(), String(n))
  }
  const restarted = createBarrier({ store: raw, keyring })
  t.equal(Buffer.from((await readRaw(restarted, '00:token/7')).value).toString(), '7')
})

t.test('the same value twice gives two ciphertexts, under nonces of their own', async (t) => {
  const { raw, store } = open()
  const seen = new Set<string>()
  for (let n = 0; n < 600; n++) {
    await store.commit([{ op: 'put', key: '00:data/a/1', value: Buffer.from(secret) }])
    seen.add(Buffer.from((await readRaw(raw, '00:data/a/1')).value).toString('hex', 22, 34))
  }
  t.equal(seen.size, 600)
})

t.test('all keys of a term differ by purpose, mount and cluster (CRY-002)', async (t) => {
  const other = createKeyring('cluster-b', [term])
  const keys = [keyring, other].flatMap((ring) => PURPOSES.flatMap((purpose) => ['', 'm-a', 'm-b'].map((mount) => {
    return ring.purposeKey(1, purpose, mount).export().toString('hex')
  })))
  t.equal(new Set(keys).size, 2 * 3 * PURPOSES.length)
  t.equal(keyring.purposeKey(1, 'kv', 'm-a'), keyring.purposeKey(1, 'kv', 'm-a'), 'one object for one key')
  t.throws(() => keyring.purposeKey(2, 'kv'), { name: 'RangeError' })
})

t.test('a term destroyed for a purpose opens nothing of it, a retired one still does (CRY-006)', async (t) => {
  const raw = createMemoryStore()
  await createBarrier({ store: raw, keyring }).commit([{ op: 'put', key: '00:token/a', value: Buffer.from('x') }])
  const retired = { ...term, states: { ...term.states, token: 'retired' as const } }
  const destroyed = { ...term, states: { ...term.states, token: 'destroyed' as const } }
  const second = { ...firstTerm(0), number: 2 }
  const ring = createKeyring('cluster-a', [retired, second])
  t.equal(ring.activeTerm('token'), 2)
  t.strictSame(ring.terms('token'), [2, 1])
  t.ok(await readRaw(createBarrier({ store: raw, keyring: ring }), '00:token/a'))
  const without = createKeyring('cluster-a', [destroyed, second])
  t.strictSame(without.terms('token'), [2])
  await refuses(t, createBarrier({ store: raw, keyring: without }), '00:token/a', 'destroyed')
})

t.test('a record that was opened before is opened anew once a byte, its stamp or its limit differs (SEC-204)', async (t) => {
  const { raw, store } = open()
  const key = '00:token/a'
  await store.commit([{ op: 'put', key, value: Buffer.from(secret), usesMax: 5 }])
  const entry = await readRaw(raw, key)
  for (let n = 0; n < 3; n++) t.equal(Buffer.from((await readRaw(store, key)).value).toString(), secret)
  const value = Buffer.from(entry.value)
  value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1)
  await forge(raw, { ...entry, value })
  await refuses(t, store, key, 'a byte')
  await forge(raw, entry, { stamp: '0123456789abcdef' })
  await refuses(t, store, key, 'the stamp')
  await forge(raw, entry, { usesMax: 6 })
  await refuses(t, store, key, 'the limit')
  await store.commit([{ op: 'put', key, value: Buffer.from('another') }])
  t.equal(Buffer.from((await readRaw(store, key)).value).toString(), 'another')
})

t.test('what a record that is read again decodes to is shared and cannot be changed', async (t) => {
  const { store } = open()
  const key = '00:token/a'
  await store.commit([{ op: 'put', key, value: encodeRecord({ policies: ['a'] }) }])
  const decode = async () => decodeRecord<{ policies: string[] }>((await readRaw(store, key)).value)
  await decode()
  const record = await decode()
  t.equal(await decode(), record)
  t.throws(() => record.policies.push('root'), TypeError)
  t.throws(() => { record.policies = ['root'] }, TypeError)
  t.same((await decode()).policies, ['a'])
})
