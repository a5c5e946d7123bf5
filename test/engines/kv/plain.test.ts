import t from 'tap'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { sealed } from '../../store/sealed.ts'
import { createKvRig, refusalOf } from './rig.ts'

function bothVersions () {
  const store = sealed(createMemoryStore())
  return { old: createKvRig({ store, version: '1' }), now: createKvRig({ store, version: '2' }) }
}

t.test('what version 1 wrote is version 1 of its key after the mount was raised', async (t) => {
  const { old, now } = bothVersions()
  await old.run('write', 'a/b', '{"v":9007199254740993,"ttl":"1h"}')
  await old.run('write', 'long', { long: 'x'.repeat(600_000) })
  t.equal(await now.textOf('a/b'), '{"v":9007199254740993,"ttl":"1h"}')
  t.match(await now.answered('read', 'metadata/a/b'), { current_version: 1, oldest_version: 0, versions: { 1: {} } })
  t.strictSame((await now.answered('list', 'metadata')).keys, ['a/', 'long'])
  t.equal((await now.put('a/b', { v: 2 }, 1)).version, 2)
  t.equal(await now.textOf('a/b', 1), '{"v":9007199254740993,"ttl":"1h"}')
  t.equal((await now.put('long', { long: 'y'.repeat(600_000) })).version, 2, 'both of its versions are long')
  t.match((await now.answered('read', 'data/long', { version: 1 })).data, { long: /^x+$/ })
})

t.test('who does not know yet that a mount was raised overwrites and removes no versions', async (t) => {
  const { old, now } = bothVersions()
  await now.put('a', { v: 1 })
  const later = 'the mount was raised to version 2 a moment ago: try again'
  t.equal(await refusalOf(old.run('write', 'a', { v: 'lost' })), later)
  t.equal(await refusalOf(old.run('delete', 'a')), later)
  t.equal(await refusalOf(old.run('read', 'a')), later)
  t.same((await now.answered('read', 'data/a')).data, { v: 1 })
})

t.test('the seconds of a lease come from the data, or from the mount', async (t) => {
  const { old } = bothVersions()
  const secondsOf = async (body: string) => {
    await old.run('write', 't', body)
    const outcome = await old.run('read', 't')
    return outcome.kind === 'data' ? outcome.lease?.leaseDurationSeconds : null
  }
  t.equal(await secondsOf('{"ttl":"1h"}'), 3600)
  t.equal(await secondsOf('{"lease":90}'), 90)
  for (const body of ['{"ttl":"soon"}', '{"ttl":0}', '{"ttl":-5}', '{"ttl":{"a":1}}', '{"ttl":null}', '{"ttl":1e400}', '{"x":{"ttl":"1h"}}']) {
    t.equal(await secondsOf(body), 2_764_800, body)
  }
})

t.test('fields that are named like parts of a request are data (SEC-039)', async (t) => {
  const { old, now } = bothVersions()
  const body = '{"operation":"delete","op":"x","path":"other","mount_point":"sys/","client_token":"t","wrap_info":{},"entity_id":"e"}'
  await old.run('write', 'a', body)
  t.equal(JSON.stringify(await old.answered('read', 'a')), body)
  await now.run('write', 'data/b', `{"data":${body}}`)
  t.equal(await now.textOf('b'), body)
})
