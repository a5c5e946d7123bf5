import t from 'tap'
import { foldPolicyName } from '../../src/core/policy-name.ts'
import { createRevision } from '../../src/core/revision.ts'
import type { Store } from '../../src/core/store.ts'
import { createPolicyStore, type PolicyStore } from '../../src/policies/policy-store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const startMs = Date.UTC(2026, 0, 1)

async function broker (store: Store, clock = { nowMs: startMs }) {
  const revision = createRevision({ store })
  const policies = createPolicyStore({ store, revision, clock: { now: () => clock.nowMs } })
  await policies.load()
  await revision.poll()
  return { policies, revision }
}

function may (policies: PolicyStore, names: readonly string[], path: string): boolean {
  return policies.aclFor(names).check({ path, operation: 'read', data: null, wrapTtlSeconds: null }).allowed
}

function read (path: string): string {
  return `path "${path}" { capabilities = ["read"] }`
}

t.test('the first start makes the default policy, the second keeps an edited one', async (t) => {
  const store = createMemoryStore()
  const [a, b] = await Promise.all([broker(store), broker(store)])
  t.strictSame([a.policies.list(), b.policies.list()], [['default'], ['default']])
  t.equal(a.policies.find('default')?.version, 1)
  t.ok(may(a.policies, ['default'], 'auth/token/lookup-self'))
  await a.policies.put('default', { text: read('x') })
  const later = await broker(store)
  t.equal(later.policies.find('default')?.text, read('x'))
})

t.test('a text comes back byte for byte', async (t) => {
  const { policies } = await broker(createMemoryStore())
  const text = `\n# é \u2028 comment\r\n${read('a')}\n\n\n`
  await policies.put('kept', { text })
  t.equal(policies.find('kept')?.text, text)
})

t.test('SEC-013 one record for a name in any case', async (t) => {
  const { policies } = await broker(createMemoryStore())
  await policies.put('Admin', { text: read('a') })
  await policies.put('admin', { text: read('b') })
  t.strictSame(policies.list(), ['admin', 'default'])
  t.equal(policies.find('ADMIN')?.text, read('b'))
  await policies.delete('aDmin')
  t.equal(policies.find('admin'), null)
})

t.test('SEC-014 SEC-015 what only looks like a name is none, and changes nothing', async (t) => {
  const { policies } = await broker(createMemoryStore())
  const wrong = ['root ', ' root', 'Root\u0000', 'rооt', '%72oot', '../root', 'x/../root', 'ns/root', 'a/b', 'a..b', '', '.a', '-a', 'a'.repeat(129), '\u212Aey', 'é']
  for (const name of wrong) {
    t.equal(foldPolicyName(name), null, JSON.stringify(name))
    await t.rejects(policies.put(name, { text: read('a') }), { code: 'invalid_request', message: 'invalid policy name' })
    t.equal(policies.find(name), null)
    await policies.delete(name)
  }
  t.strictSame(policies.list(), ['default'])
  for (const name of ['__proto__', 'constructor', 'hasownproperty']) {
    t.equal(may(policies, [name], 'a'), false)
    if (foldPolicyName(name) === null) continue
    await policies.put(name, { text: read('a') })
    t.equal(may(policies, [name], 'a'), true)
  }
})

t.test('SEC-015 lists of names that join to the same text have their own rights', async (t) => {
  const { policies } = await broker(createMemoryStore())
  await policies.put('a.b', { text: read('joined') })
  await policies.put('a', { text: read('first') })
  t.strictSame([may(policies, ['a.b'], 'joined'), may(policies, ['a', 'b'], 'joined'), may(policies, ['a', 'b'], 'first'), may(policies, ['ab'], 'first')],
    [true, false, true, false])
})

t.test('SEC-032 a change holds at once here and after a poll on another broker', async (t) => {
  const store = createMemoryStore()
  const a = await broker(store)
  const b = await broker(store)
  await a.policies.put('web', { text: read('x') })
  await b.revision.poll()
  t.strictSame([may(a.policies, ['web'], 'x'), may(b.policies, ['web'], 'x')], [true, true])
  await b.policies.put('web', { text: '# nothing' })
  t.equal(may(b.policies, ['web'], 'x'), false)
  await a.revision.poll()
  t.equal(may(a.policies, ['web'], 'x'), false)
})

t.test('writers on two brokers meet: each write counts, none is lost unseen', async (t) => {
  const store = createMemoryStore()
  const brokers = await Promise.all([broker(store), broker(store)])
  await Promise.all(brokers.flatMap(({ policies }, n) => [1, 2].map((m) => policies.put('shared', { text: read(`w${n}${m}`) }))))
  const third = await broker(store)
  t.equal(third.policies.find('shared')?.version, 4)
})

t.test('check-and-set', async (t) => {
  const { policies } = await broker(createMemoryStore())
  await policies.put('p', { text: read('a'), cas: -1 })
  await t.rejects(policies.put('p', { text: read('b'), cas: -1 }), { message: 'check-and-set parameter set to -1 on existing entry' })
  await t.rejects(policies.put('p', { text: read('b'), cas: 7 }), { message: 'check-and-set parameter did not match the current version' })
  await policies.put('p', { text: read('b'), cas: 1, casRequired: true })
  await t.rejects(policies.put('p', { text: read('c') }), { message: 'check-and-set parameter required for this call' })
  await policies.put('p', { text: read('c'), cas: 2 })
  t.match(policies.find('p'), { text: read('c'), version: 3, casRequired: true })
})

t.test('SEC-041 a policy or a stanza counts until it expires, and no longer, without any write', async (t) => {
  const clock = { nowMs: startMs }
  const { policies } = await broker(createMemoryStore(), clock)
  await policies.put('short', { text: read('a'), expiresAtMs: startMs + 1000 })
  await policies.put('long', { text: `${read('b')}\npath "c" { capabilities = ["read"] expiration = "2026-01-01T00:00:02Z" }` })
  const names = ['long', 'short']
  const seen = (): boolean[] => ['a', 'b', 'c'].map((path) => may(policies, names, path))
  t.strictSame(seen(), [true, true, true])
  clock.nowMs += 1000
  t.strictSame(seen(), [false, true, true])
  t.equal(policies.find('short'), null)
  t.strictSame(policies.list(), ['default', 'long'])
  clock.nowMs += 1000
  t.strictSame(seen(), [false, true, false])
})

t.test('the broker\'s own policies cannot be written, deleted, read or listed', async (t) => {
  const { policies } = await broker(createMemoryStore())
  await t.rejects(policies.put('ROOT', { text: read('a') }), { message: 'cannot update "root" policy' })
  await t.rejects(policies.delete('root'), { message: 'cannot delete "root" policy' })
  await t.rejects(policies.delete('default'), { message: 'cannot delete default policy' })
  for (const name of ['response-wrapping', 'control-group']) {
    await t.rejects(policies.put(name, { text: read('a') }), { message: `cannot update "${name}" policy` })
    await t.rejects(policies.delete(name), { message: `cannot delete "${name}" policy` })
    t.equal(policies.find(name), null)
  }
  t.strictSame(policies.find('root'), { name: 'root', text: '', version: 1, casRequired: false, expiresAtMs: null })
  t.ok(may(policies, ['response-wrapping'], 'cubbyhole/response'))
  t.strictSame(policies.aclFor(['root']).capabilities('x'), ['root'])
  t.strictSame(policies.aclFor(['default', 'unknown']).capabilities('secret/x'), ['deny'])
})

t.test('a refused text leaves the stored one in force', async (t) => {
  const { policies } = await broker(createMemoryStore())
  await policies.put('p', { text: read('a') })
  await t.rejects(policies.put('p', { text: 'path "a" {' }), { code: 'invalid_request' })
  await t.rejects(policies.put('p', { text: '' }), { message: '\'policy\' parameter not supplied or empty' })
  t.equal(policies.find('p')?.version, 1)
  t.ok(may(policies, ['p'], 'a'))
})

// Timing is printed, memory is asserted: nothing of a check may stay behind.
t.test('SEC-034 10,000 rules and 200 policies of a token', async (t) => {
  const { policies } = await broker(createMemoryStore())
  const kinds = ['', '*', '/+/cfg', '/+/c*']
  const text = Array.from({ length: 10_000 }, (_, n) => read(`kv/data/team-${n % 2500}/app${kinds[n % 4]}`)).join('\n')
  let start = performance.now()
  await policies.put('large', { text: `${text}\npath "kv/data/Team-1/deny" { capabilities = ["deny"] }` })
  const names = ['large']
  for (let n = 0; n < 200; n++) {
    await policies.put(`p${n}`, { text: `${read(`svc/s${n}/*`)}\n${read(`svc/+/s${n}`)}` })
    names.push(`p${n}`)
  }
  t.comment(`writing 201 policies: ${(performance.now() - start).toFixed(0)} ms`)
  start = performance.now()
  may(policies, names, 'x')
  t.comment(`compiling them: ${(performance.now() - start).toFixed(1)} ms`)
  const measure = (names: readonly string[], paths: readonly string[]): string => {
    const rounds = 100_000
    const start = performance.now()
    for (let n = 0; n < rounds; n++) may(policies, names, paths[n % paths.length] ?? '')
    return `${((performance.now() - start) / rounds * 1000).toFixed(2)} µs`
  }
  const paths = Array.from({ length: 1000 }, (_, n) => `kv/data/team-${n}/app${['', '/x', '/y/cfg', '/z/cx'][n % 4]}`)
  t.comment(`a check against all: ${measure(names, paths)} with a deny in capitals; again ${measure(names, paths)}`)
  t.comment(`a check of an ordinary token: ${measure(['default', 'p1'], ['auth/token/lookup-self', 'svc/s1/a', 'svc/x/s1', 'other/x'])}`)
  t.comment(`of a token with one exact rule: ${measure(['default'], ['auth/token/lookup-self'])}`)
  t.ok(may(policies, names, 'kv/data/team-1/app'))
})
