import { chmodSync, existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { Store } from '../../src/core/store.ts'
import {
  masterKeyFile, masterKeyInMemory, masterKeyVariable, type KeySealer
} from '../../src/store/master-key.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openSealedStore } from '../../src/store/sealed-store.ts'

async function open (store: Store, sealer: KeySealer, expectedClusterId: string | null = null) {
  return openSealedStore({ store, sealer, expectedClusterId, nowMs: 1000, onIntegrityError () {} })
}

async function rawKeyring (store: Store) {
  const [entry] = await store.get(['sys:keyring'])
  if (entry === null || entry === undefined) throw new Error('no keyring')
  return { entry, record: JSON.parse(Buffer.from(entry.value).toString()) as Record<string, string> }
}

t.test('two brokers that start at once agree on one keyring', async (t) => {
  const store = createMemoryStore()
  const sealer = masterKeyInMemory()
  const rings = await Promise.all(Array.from({ length: 10 }, () => open(store, sealer)))
  const keys = rings.map(({ keyring: ring }) => `${ring.clusterId} ${ring.purposeKey(1, 'kv').export().toString('hex')}`)
  t.equal(new Set(keys).size, 1)
  t.equal(rings.filter(({ isNew }) => isNew).length, 1)
})

t.test('a later start reads the same keys', async (t) => {
  const store = createMemoryStore()
  const location = path.join(t.testdir(), 'keys', 'master.key')
  const first = await open(store, masterKeyFile(location, { create: true }))
  const second = await open(store, masterKeyFile(location, { create: true }))
  t.ok(first.keyring.purposeKey(1, 'jwt').equals(second.keyring.purposeKey(1, 'jwt')))
  t.ok(await second.isThere())
  t.notOk(second.isNew)
})

t.test('no key is in the store in clear: keyring and root key are sealed (CRY-001)', async (t) => {
  const store = createMemoryStore()
  const location = path.join(t.testdir(), 'keys', 'master.key')
  const { keyring: ring } = await open(store, masterKeyFile(location, { create: true }))
  const { entry } = await rawKeyring(store)
  const text = Buffer.from(entry.value).toString('latin1')
  const master = readFileSync(location)
  const working = ring.purposeKey(1, 'kv').export()
  for (const key of [master, working]) {
    t.notOk(text.includes(key.toString('base64').slice(0, 40)))
    t.notOk(text.includes(key.toString('latin1')))
  }
})

t.test('a wrong master key refuses in plain words', async (t) => {
  const store = createMemoryStore()
  await open(store, masterKeyInMemory())
  await t.rejects(open(store, masterKeyInMemory()),
    { message: /^the master key does not open this store/ })
})

t.test('the mode is sealed in: no start in another one, not even with the record edited (CRY-045)', async (t) => {
  const folder = t.testdir()
  const location = path.join(folder, 'keys', 'master.key')
  const store = createMemoryStore()
  await open(store, masterKeyFile(location, { create: true }))
  const environment = { KEY: readFileSync(location).toString('base64') }
  const sealer = masterKeyVariable(environment, 'KEY')
  t.notOk('KEY' in environment, 'the variable is gone')
  await t.rejects(open(store, sealer), { message: /sealed in mode file.*set to env/ })
  const { record } = await rawKeyring(store)
  const edited = Buffer.from(JSON.stringify({ ...record, mode: 'env' }))
  await store.commit([{ op: 'put', key: 'sys:keyring', value: edited }])
  await t.rejects(open(store, sealer), { message: /^the master key does not open/ })
})

t.test('blobs of another cluster under the same master key do not open', async (t) => {
  const sealer = masterKeyInMemory()
  const [one, other] = [createMemoryStore(), createMemoryStore()]
  await open(one, sealer)
  await open(other, sealer)
  const mine = (await rawKeyring(one)).record
  const theirs = (await rawKeyring(other)).record
  for (const field of ['rootKey', 'terms', 'clusterId']) {
    const value = Buffer.from(JSON.stringify({ ...mine, [field]: theirs[field] }))
    await one.commit([{ op: 'put', key: 'sys:keyring', value }])
    await t.rejects(open(one, sealer), Error, field)
  }
})

t.test('an empty store where one was expected refuses, and so does another one (FLT-024)', async (t) => {
  const sealer = masterKeyInMemory()
  const store = createMemoryStore()
  const { keyring, isThere } = await open(store, sealer)
  await open(store, sealer, keyring.clusterId)
  const empty = createMemoryStore()
  await t.rejects(open(empty, sealer, keyring.clusterId), { message: /^the store is empty/ })
  t.strictSame(await empty.get(['sys:keyring']), [null], 'and nothing was made in it')
  const other = createMemoryStore()
  await open(other, sealer)
  await t.rejects(open(other, sealer, keyring.clusterId), { message: /^this is not the store/ })
  t.ok(await isThere())
  await store.commit([{ op: 'delete', key: 'sys:keyring' }])
  t.notOk(await isThere(), 'emptied while it runs')
})

t.test('records without a keyring refuse: nobody makes a new one over them', async (t) => {
  for (const key of ['00:token/a', 'sys:mount/a']) {
    const store = createMemoryStore()
    await store.commit([{ op: 'put', key, value: Buffer.alloc(1), names: ['x'] }])
    await t.rejects(open(store, masterKeyInMemory()), { message: /no keyring/ })
  }
})

t.test('a damaged keyring refuses', async (t) => {
  const store = createMemoryStore()
  const sealer = masterKeyInMemory()
  await open(store, sealer)
  const { record } = await rawKeyring(store)
  for (const value of ['', '{', '{}', 'null', '[]', JSON.stringify({ ...record, format: 'latchkey keyring 2' }),
    JSON.stringify({ ...record, terms: 7 }), JSON.stringify({ ...record, terms: '' })]) {
    await store.commit([{ op: 'put', key: 'sys:keyring', value: Buffer.from(value) }])
    await t.rejects(open(store, sealer), { name: 'Error' }, value)
  }
})

t.test('the master key file is made once, whole, and for its owner alone', async (t) => {
  const location = path.join(t.testdir(), 'keys', 'master.key')
  masterKeyFile(location, { create: true })
  const bytes = readFileSync(location)
  t.equal(bytes.length, 32)
  t.equal(statSync(location).mode & 0o777, 0o600)
  masterKeyFile(location, { create: true })
  t.ok(bytes.equals(readFileSync(location)), 'a second start does not replace it')
})

t.test('a master key file that others may read, of another size, or behind a link is refused', async (t) => {
  const folder = t.testdir()
  const location = path.join(folder, 'master.key')
  const open = () => masterKeyFile(location, { create: false })
  t.throws(open, { message: /there is no such file/ })
  t.notOk(existsSync(location), 'nothing is made unless it is asked for')
  for (const size of [0, 16, 31, 33, 64]) {
    writeFileSync(location, Buffer.alloc(size, 1), { mode: 0o600 })
    t.throws(open, { message: /32 bytes/ }, `${size} bytes`)
  }
  writeFileSync(location, Buffer.alloc(32, 1))
  for (const mode of [0o640, 0o604, 0o660, 0o644]) {
    chmodSync(location, mode)
    t.throws(open, { message: /chmod 600/ }, mode.toString(8))
  }
  chmodSync(location, 0o600)
  t.doesNotThrow(open)
  const link = path.join(folder, 'link')
  symlinkSync(location, link)
  t.throws(() => masterKeyFile(link, { create: false }), { message: /symbolic link/ })
  rmSync(location)
  t.throws(() => masterKeyFile(folder, { create: false }), Error, 'a folder')
})

t.test('a master key variable is 32 bytes in base64, and is removed even when it is not', async (t) => {
  for (const text of [undefined, '', 'short', 'A'.repeat(43), Buffer.alloc(31).toString('base64'), '*'.repeat(44)]) {
    const environment = { KEY: text }
    t.throws(() => masterKeyVariable(environment, 'KEY'), { message: 'KEY has to hold 32 bytes in base64' })
    t.notOk('KEY' in environment)
  }
  t.doesNotThrow(() => masterKeyVariable({ KEY: Buffer.alloc(32, 1).toString('base64') }, 'KEY'))
})
