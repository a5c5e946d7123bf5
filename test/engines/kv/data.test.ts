import t from 'tap'
import { createKvRig, refusalOf } from './rig.ts'

t.test('only whole numbers, their digits as text and null are versions to check and set (SEC-191)', async (t) => {
  const rig = createKvRig()
  const write = (cas: string) => rig.answered('write', 'data/a', `{"data":{"v":1},"options":{"cas":${cas}}}`)
  for (const cas of ['0.0', '-0', '"-1"', 'true', 'false', '[]', '{}', '1e400', '9007199254740993', '1e0', '""', '" 0"', '"0x0"', '"00"', '01e1', '"+0"']) {
    t.match(await refusalOf(write(cas)), /^(error parsing check-and-set parameter|failed to decode JSON input)/, cas)
  }
  t.equal(await refusalOf(rig.run('read', 'data/a')), '', 'nothing was written')
  t.equal((await write('0')).version, 1)
  t.equal(await refusalOf(write('null')), 'check-and-set parameter did not match the current version', 'null is 0')
  t.equal(await refusalOf(write('-1')), 'check-and-set parameter did not match the current version', 'as clients of -1 read it')
  t.equal((await write('"1"')).version, 2)
  t.equal((await rig.answered('write', 'data/b', '{"data":{},"options":{"cas":null}}')).version, 1)
  t.equal((await rig.answered('write', 'data/c', '{"data":{},"options":{"\\u0063as":"0"}}')).version, 1, 'a name may be escaped')
})

t.test('check-and-set is required where the mount or the key says so (SEC-192)', async (t) => {
  const rig = createKvRig()
  const required = 'check-and-set parameter required for this call'
  await rig.put('a', { v: 1 })
  await rig.run('write', 'config', { cas_required: true })
  t.equal(await refusalOf(rig.put('a', { v: 2 })), required)
  t.equal(await refusalOf(rig.run('patch', 'data/a', { data: { v: 2 } })), required)
  t.equal((await rig.put('a', { v: 2 }, 1)).version, 2)
  await rig.run('write', 'config', { cas_required: false })
  await rig.run('write', 'metadata/a', { cas_required: true })
  t.equal(await refusalOf(rig.put('a', { v: 3 })), required)
  t.equal((await rig.put('b', { v: 1 })).version, 1, 'other keys do not need it')
  await rig.run('delete', 'data/a')
  await rig.run('write', 'undelete/a', { versions: [2] })
  t.same((await rig.answered('read', 'data/a')).data, { v: 2 }, 'an undelete needs none')
})

t.test('values come back with the digits and texts they were written with (SEC-211)', async (t) => {
  const rig = createKvRig()
  const values = [
    '{"n":9007199254740993,"e":12345678901234567890,"neg":-9007199254740993}', '{"a":-0,"b":1E2,"c":1.50,"d":1e-7,"e":100}',
    '{"t":"9007199254740993 1.0"}', '{"t":"\\u0000\\n\\t\\"\\\\"}', '{"é":"😀"}', '{"__proto__":{"x":1},"constructor":{"prototype":{}},"toString":1}',
    '{}', '{"a":[],"b":{},"c":null,"d":[[[]]]}'
  ]
  for (const value of values) {
    await rig.run('write', 'data/a', `{"options":{},"data": ${value} }`)
    t.equal(await rig.textOf('a'), value)
  }
  t.equal(({} as { x?: number }).x, undefined, 'and no prototype is touched (SEC-198)')
  const zeros = `{"z":"${'\\u0000'.repeat(100_000)}"}`
  await rig.run('write', 'data/a', `{"data":${zeros}}`)
  t.equal(await rig.textOf('a'), zeros)
  const before = values.length + 1
  t.equal(await rig.textOf('a', before - 1), values.at(-1), 'a version before it too')
})

t.test('a merge patch makes a version and answers no value (SEC-197, SEC-198)', async (t) => {
  const rig = createKvRig()
  await rig.run('write', 'data/a', '{"data":{"a":{"b":1},"c":2,"n":9007199254740993}}')
  const answer = await rig.answered('patch', 'data/a', '{"data":{"a":{"b":null},"__proto__":{"x":1},"d":"canary"}}')
  t.strictSame(Object.keys(answer), ['version', 'created_time', 'deletion_time', 'destroyed', 'custom_metadata'])
  t.equal(await rig.textOf('a'), '{"c":2,"n":9007199254740993,"a":{},"__proto__":{"x":1},"d":"canary"}')
  t.equal(await rig.textOf('a', 1), '{"a":{"b":1},"c":2,"n":9007199254740993}')
  t.equal(await refusalOf(rig.run('patch', 'data/none', { data: {} })), '')
})

t.test('a patch of long data that lie apart finds them', async (t) => {
  const rig = createKvRig()
  const long = 'x'.repeat(100_000)
  await rig.put('a', { long, a: 1 })
  t.equal((await rig.answered('patch', 'data/a', { data: { a: null, b: 2 } })).version, 2)
  t.same((await rig.answered('read', 'data/a')).data, { long, b: 2 })
  t.same((await rig.answered('read', 'data/a', { version: 1 })).data, { long, a: 1 })
})

t.test('data up to the limit are kept, more are refused without a word of them (SEC-199)', async (t) => {
  const rig = createKvRig()
  const ofBytes = (bytes: number) => ({ v: 'x'.repeat(bytes - '{"v":""}'.length) })
  const limit = 640 * 1024
  await rig.put('a', ofBytes(limit))
  await rig.put('a', ofBytes(limit))
  await rig.put('a', { small: true })
  await rig.put('a', ofBytes(limit))
  t.equal((await rig.textOf('a', 2)).length, limit)
  t.equal((await rig.textOf('a')).length, limit)
  t.equal(await refusalOf(rig.put('a', ofBytes(limit + 1))), `the data are too large: a version holds at most ${limit} bytes`)
  t.match(await refusalOf(rig.run('patch', 'data/a', { data: { more: 'x' } })), /too large/)
  t.equal((await rig.answered('read', 'metadata/a'))['current_version'], 4)
})

t.test('the largest of everything fits into one commit', async (t) => {
  const rig = createKvRig()
  const custom = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`${n}${'"'.repeat(126)}`, '"'.repeat(512)]))
  await rig.run('write', 'metadata/a', { max_versions: 2000, custom_metadata: custom })
  for (let i = 0; i < 1999; i++) await rig.put('a', { i })
  const inline = { v: 'é'.repeat(65_000 / 2) }
  const limit = { v: '\u00e9'.repeat(320 * 1024 - 4) }
  await rig.put('a', inline)
  await rig.put('a', limit)
  t.same((await rig.answered('read', 'data/a')).data, limit)
  t.same((await rig.answered('read', 'data/a', { version: 2000 })).data, inline)
  t.equal(await refusalOf(rig.run('read', 'data/a', { version: 1 })), '', 'the oldest went')
  t.same((await rig.answered('read', 'data/a', { version: 2 })).data, { i: 1 })
  await rig.run('delete', 'metadata/a')
  t.strictSame(await rig.rawKeys(), [], 'and all of it goes')
})

t.test('wrong types are refused without repeating what was sent (SEC-201)', async (t) => {
  const rig = createKvRig()
  const bodies = [
    '{"data":"canary-5f"}', '{"data":["canary-5f"]}', '{"data":{"a":1},"options":"canary-5f"}', '{"data":{},"options":["canary-5f"]}',
    '{"data":{},"options":{"cas":"canary-5f"}}', '{"data":{},"options":{"cas":{"canary-5f":1}}}', '{"data":"{\\"canary-5f\\":1}"}',
    '{"data":null,"canary-5f":1}', '{"data":{"canary-5f":1'
  ]
  for (const body of bodies) {
    for (const verb of ['write', 'patch'] as const) {
      const refusal = await refusalOf(rig.run(verb, 'data/a', body))
      t.notMatch(refusal, /canary/, `${body}: ${refusal}`)
    }
  }
  t.equal(await refusalOf(rig.run('read', 'metadata/a')), '', 'nothing was written')
})

t.test('a deletion time is judged at the read (SEC-196)', async (t) => {
  const rig = createKvRig()
  await rig.run('write', 'config', { delete_version_after: '2s' })
  const written = await rig.put('a', { v: 1 })
  t.equal(written['deletion_time'], '2026-01-01T00:00:02.000000000Z')
  rig.pass(1999)
  t.same((await rig.answered('read', 'data/a')).data, { v: 1 })
  rig.pass(101)
  const outcome = await rig.run('read', 'data/a')
  t.match(outcome, { kind: 'data', as: 'absent', data: { data: null, metadata: { version: 1, destroyed: false } } })
  t.match(await rig.run('read', 'subkeys/a'), { as: 'absent', data: { subkeys: null } })
  await rig.run('write', 'undelete/a', { versions: [1] })
  t.same((await rig.answered('read', 'data/a')).data, { v: 1 })
})

t.test('the smaller of two times holds, and a negative one of the mount none', async (t) => {
  const rig = createKvRig()
  const timeOf = async () => (await rig.put('a', {}))['deletion_time']
  await rig.run('write', 'metadata/a', { delete_version_after: '1h' })
  t.equal(await timeOf(), '2026-01-01T01:00:00.000000000Z')
  await rig.run('write', 'config', { delete_version_after: '30m' })
  t.equal(await timeOf(), '2026-01-01T00:30:00.000000000Z')
  await rig.run('write', 'config', { delete_version_after: -5 })
  t.equal(await timeOf(), '')
  t.equal((await rig.answered('read', 'config'))['delete_version_after'], '-1s')
  t.match(await refusalOf(rig.run('write', 'metadata/a', { delete_version_after: '-1s' })), /error converting input for field "delete_version_after"/)
})

t.test('subkeys tell names and no values (SEC-207)', async (t) => {
  const rig = createKvRig()
  await rig.run('write', 'data/a', '{"data":{"a":"canary","n":9007199254740993,"o":{"p":{"q":"canary"},"e":{},"l":["canary"]}}}')
  t.same((await rig.answered('read', 'subkeys/a'))['subkeys'], { a: null, n: null, o: { p: { q: null }, e: {}, l: null } })
  t.same((await rig.answered('read', 'subkeys/a', { depth: 2 }))['subkeys'], { a: null, n: null, o: { p: null, e: null, l: null } })
  t.same((await rig.answered('read', 'subkeys/a', { depth: 1 }))['subkeys'], { a: null, n: null, o: null })
})
