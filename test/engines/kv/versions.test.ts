import t from 'tap'
import { createKvRig, refusalOf } from './rig.ts'

t.test('versions beyond the limit are gone from the store with the write that pushes them out (SEC-193)', async (t) => {
  const rig = createKvRig()
  for (let i = 1; i <= 12; i++) await rig.put('a', { i })
  t.equal(await refusalOf(rig.run('read', 'data/a', { version: 1 })), '')
  t.equal(await refusalOf(rig.run('read', 'data/a', { version: 2 })), '')
  t.same((await rig.answered('read', 'data/a', { version: 3 })).data, { i: 3 })
  t.same((await rig.answered('read', 'data/a', { version: 0 })).data, { i: 12 })
  t.same((await rig.answered('read', 'data/a', { version: '12' })).data, { i: 12 })
  t.equal(await refusalOf(rig.run('read', 'data/a', { version: '-1' })), '')
  for (const version of ['2abc', '1e9', '1.0', ['1', '2']]) {
    t.match(await refusalOf(rig.run('read', 'data/a', { version })), /error converting input for field "version"/)
  }
  t.equal((await rig.rawKeys()).length, 10, 'nine versions and the key itself')
  t.match(await rig.answered('read', 'metadata/a'), { current_version: 12, oldest_version: 3 })
})

t.test('a destroyed version is nowhere any more (SEC-194, CRY-017)', async (t) => {
  const rig = createKvRig()
  for (const v of ['one', 'two', 'three']) await rig.put('a', { v })
  const before = await rig.rawEntries()
  await rig.run('write', 'destroy/a', { versions: [2, 3] })
  await rig.run('write', 'undelete/a', { versions: [2, 3] })
  for (const version of [2, 3]) {
    t.match(await rig.run('read', 'data/a', { version }), { as: 'absent', data: { data: null, metadata: { destroyed: true } } })
  }
  t.same((await rig.answered('read', 'data/a', { version: 1 })).data, { v: 'one' })
  const after = await rig.rawEntries()
  t.equal(after.length, before.length - 1)
  const texts = await rig.store.get(after.map(({ key }) => key))
  t.notOk(texts.some((entry) => /two|three/.test(Buffer.from(entry?.value ?? '').toString())), 'no record holds the data')
  t.equal(await refusalOf(rig.put('a', {}, 0)), 'check-and-set parameter did not match the current version')
  t.equal((await rig.put('a', { v: 'four' }, 3)).version, 4)
  t.match(await rig.run('read', 'data/a', { version: 3 }), { as: 'absent', data: { metadata: { destroyed: true } } })
})

t.test('long data lie apart and go the same way', async (t) => {
  const rig = createKvRig()
  const long = 'x'.repeat(70_000)
  await rig.put('a', { v: 1 })
  await rig.put('a', { v: 2, long })
  await rig.put('a', { v: 3 })
  t.same((await rig.answered('read', 'data/a', { version: 2 })).data, { v: 2, long })
  await rig.run('write', 'destroy/a', { versions: [2, 1] })
  t.strictSame((await rig.rawKeys()).length, 1)
  await rig.put('a', { v: 4, long })
  await rig.run('write', 'destroy/a', { versions: [4] })
  t.match(await rig.run('read', 'data/a'), { as: 'absent' })
  t.same((await rig.answered('read', 'data/a', { version: 3 })).data, { v: 3 })
})

t.test('hundreds of versions go in several commits, each of which leaves a sound key', async (t) => {
  const rig = createKvRig()
  await rig.run('write', 'metadata/a', { max_versions: 700 })
  for (let i = 1; i <= 650; i++) await rig.put('a', { i })
  await rig.run('write', 'destroy/a', { versions: Array.from({ length: 300 }, (_, i) => i + 1) })
  t.match(await rig.run('read', 'data/a', { version: 300 }), { as: 'absent' })
  t.same((await rig.answered('read', 'data/a', { version: 301 })).data, { i: 301 })
  await rig.run('write', 'metadata/a', { max_versions: 2 })
  await rig.put('a', { i: 651 })
  t.match(await rig.answered('read', 'metadata/a'), { current_version: 651, oldest_version: 650 })
  t.equal((await rig.rawKeys()).length, 2)
})

t.test('a key that was removed and written again shows nothing of its earlier life (SEC-213)', async (t) => {
  const rig = createKvRig()
  await rig.put('a', { life: 1, v: 1 })
  await rig.put('a', { life: 1, v: 2 })
  const old = await rig.rawEntries()
  await rig.run('delete', 'metadata/a')
  t.strictSame(await rig.rawKeys(), [])
  t.equal((await rig.put('a', { life: 2, v: 1 }, 0)).version, 1)
  t.equal((await rig.put('a', { life: 2, v: 2 }, 1)).version, 2)
  for (const { key, value, stamp } of old) {
    if (key.includes(':data/')) await rig.raw.commit([{ op: 'put', key, value, stamp }])
  }
  t.same((await rig.answered('read', 'data/a', { version: 1 })).data, { life: 2, v: 1 })
})

t.test('a life\'s version put in the place of another\'s does not open (SEC-202, SEC-213)', async (t) => {
  const rig = createKvRig()
  for (const path of ['a', 'b']) for (const v of [1, 2, 3]) await rig.put(path, { path, v })
  const places = (await rig.rawEntries()).filter(({ key }) => key.includes(':data/') || key.includes(':meta/'))
  t.equal(places.length, 6)
  for (const place of places) {
    for (const other of places) {
      if (other === place) continue
      await rig.raw.commit([{ op: 'put', key: place.key, value: other.value, stamp: other.stamp }])
      await t.rejects(rig.store.get([place.key]), { name: 'StoreIntegrity' })
      await rig.raw.commit([{ op: 'put', key: place.key, value: place.value, stamp: place.stamp }])
    }
  }
  t.same((await rig.answered('read', 'data/a', { version: 2 })).data, { path: 'a', v: 2 })
})

t.test('a version whose data were taken from the store is an integrity error and no empty secret (SEC-202)', async (t) => {
  const rig = createKvRig()
  for (const v of [1, 2]) await rig.put('a', { v })
  const [apart] = (await rig.rawEntries()).filter(({ key }) => key.includes(':data/'))
  await rig.raw.commit([{ op: 'delete', key: apart?.key ?? '' }])
  await t.rejects(rig.run('read', 'data/a', { version: 1 }), { name: 'StoreIntegrity' })
  t.same((await rig.answered('read', 'data/a')).data, { v: 2 })
})
