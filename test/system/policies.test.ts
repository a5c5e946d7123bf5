import t from 'tap'
import { createRevision } from '../../src/core/revision.ts'
import { createPolicyStore } from '../../src/policies/policy-store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createCapabilityOperations } from '../../src/system/capabilities.ts'
import { createPolicyOperations } from '../../src/system/policies.ts'
import { tokenOf } from '../audit/fixtures.ts'
import { callOf, type Asked } from './calls.ts'

const nowMs = Date.UTC(2026, 0, 1)
const text = 'path "secret/*" { capabilities = ["read"] }'

async function open () {
  const store = createMemoryStore()
  const clock = { nowMs }
  const policies = createPolicyStore({ store, revision: createRevision({ store }), clock: { now: () => clock.nowMs } })
  await policies.load()
  const probe = tokenOf({ accessor: 'probe-accessor', policies: ['web'] })
  const call = callOf([
    ...createPolicyOperations({ policies }),
    ...createCapabilityOperations({
      aclFor: policies.aclFor,
      stablePathOf: (path) => path,
      tokens: {
        find: async (token) => token === 'probe' ? probe : null,
        findByAccessor: async (accessor) => accessor === probe.accessor ? probe : null
      }
    })
  ], nowMs)
  return { policies, call, clock, probe }
}

/** A call with the name that the URL gives. */
function named (name: string, data: Asked['data'] = {}): Asked {
  return { captured: { name }, data }
}

t.test('a policy is written, read, listed and deleted on both paths', async (t) => {
  const { call } = await open()
  for (const path of ['policies/acl/:name', 'policy/:name']) {
    t.strictSame(await call('write', path, named('kit', { policy: `${text}\n\n` })), { kind: 'none' })
    t.strictSame(await call('read', 'policies/acl/:name', named('KIT')), { kind: 'data', data: { name: 'kit', policy: `${text}\n\n` } })
    t.strictSame(await call('read', 'policy/:name', named('kit')), { kind: 'data', data: { name: 'kit', rules: `${text}\n\n` } })
    t.strictSame(await call('list', 'policies/acl'), { kind: 'data', data: { keys: ['default', 'kit', 'root'] } })
    const both = { kind: 'data', data: { keys: ['default', 'kit', 'root'], policies: ['default', 'kit', 'root'] } }
    t.strictSame(await call('list', 'policy'), both)
    t.strictSame(await call('read', 'policy'), both)
    for (let n = 0; n < 2; n++) t.strictSame(await call('delete', path, named('Kit')), { kind: 'none' })
    await t.rejects(call('read', path, named('kit')), { code: 'not_found', message: '' })
  }
})

t.test('warnings: a name with capitals, the older parameter', async (t) => {
  const { call } = await open()
  const converted = 'policy name was converted to kit'
  const older = '\'rules\' is deprecated, please use \'policy\' instead'
  t.strictSame(await call('write', 'policies/acl/:name', named('Kit', { policy: text })), { kind: 'none', warnings: [converted] })
  t.strictSame(await call('write', 'policy/:name', named('kit', { rules: text })), { kind: 'none', warnings: [older] })
  t.strictSame(await call('write', 'policy/:name', named('Kit', { rules: text })), { kind: 'none', warnings: [converted, older] })
})

t.test('base64 is decoded, and only what is base64', async (t) => {
  const { call, policies } = await open()
  for (const [sent, kept] of [[Buffer.from(text).toString('base64'), text], [Buffer.from(text).toString('base64').replace(/(.{20})/g, '$1\n'), text], ['# plain', '# plain'], ['//wA=', null], ['/*a*', null]] as const) {
    const written = call('write', 'policies/acl/:name', named('kit', { policy: sent }))
    if (kept === null) {
      await written.catch(() => {})
    } else {
      await written
      t.equal(policies.find('kit')?.text, kept)
    }
  }
  t.equal(policies.find('kit')?.text, '//wA=', 'bytes that are no text stay the comment that they are')
})

t.test('empty texts and names that are none are refused', async (t) => {
  const { call } = await open()
  const empty = { code: 'invalid_request', message: '\'policy\' parameter not supplied or empty' }
  await t.rejects(call('write', 'policies/acl/:name', named('kit', { policy: '' })), empty)
  await t.rejects(call('write', 'policies/acl/:name', named('kit', {})), empty)
  await t.rejects(call('write', 'policy/:name', named('kit', {})), empty)
  await t.rejects(call('write', 'policies/acl/:name', named('../root', { policy: text })), { message: 'invalid policy name' })
  await t.rejects(call('write', 'policies/acl/:name', named('root', { policy: text })), { message: 'cannot update "root" policy' })
  t.strictSame(await call('delete', 'policies/acl/:name', named('[\'testpolicy\']')), { kind: 'none' })
  await t.rejects(call('write', 'policies/acl/:name', named('kit', { policy: { path: {} } })), { code: 'invalid_request' })
})

t.test('check-and-set and an end are shown where they were asked for', async (t) => {
  const { call, clock } = await open()
  await call('write', 'policies/acl/:name', named('kit', { policy: text, cas: -1, cas_required: true, ttl: '1h' }))
  t.strictSame(await call('read', 'policies/acl/:name', named('kit')),
    { kind: 'data', data: { name: 'kit', policy: text, version: 1, cas_required: true, expiration: '2026-01-01T01:00:00.000Z' } })
  await t.rejects(call('write', 'policies/acl/:name', named('kit', { policy: text })), { message: 'check-and-set parameter required for this call' })
  await t.rejects(call('write', 'policies/acl/:name', named('kit', { policy: text, cas: 1, expiration: 'soon' })), { message: /invalid expiration time/ })
  await t.rejects(call('write', 'policies/acl/:name', named('kit', { policy: text, cas: 1, expiration: '2026-02-01T00:00:00Z', ttl: 5 })), { code: 'invalid_request' })
  clock.nowMs += 3_600_000
  await t.rejects(call('read', 'policies/acl/:name', named('kit')), { code: 'not_found' })
})

t.test('capabilities of the caller, of a token, of an accessor', async (t) => {
  const { call, policies, probe } = await open()
  await policies.put('web', { text: 'path "secret/a" { capabilities = ["update", "read", "create"] }\npath "secret/b" { capabilities = ["deny"] }' })
  const a = ['create', 'read', 'update']
  const one = { 'secret/a': a, capabilities: a }
  const data = async (path: string, asked: Asked): Promise<unknown> => {
    const outcome = await call('write', path, asked)
    return outcome.kind === 'data' ? { ...outcome.data } : outcome
  }
  t.strictSame(await data('capabilities-self', { token: probe, data: { paths: ['secret/a'] } }), one)
  t.strictSame(await data('capabilities-self', { token: probe, data: { path: 'secret/a' } }), one)
  t.strictSame(await data('capabilities-self', { token: probe, data: { paths: '/secret/a,secret/b, secret/c' } }), { '/secret/a': a, 'secret/b': ['deny'], 'secret/c': ['deny'] })
  t.strictSame(await data('capabilities-self', { token: tokenOf({ policies: ['root'] }), data: { paths: ['x'] } }), { x: ['root'], capabilities: ['root'] })
  t.strictSame(await data('capabilities', { data: { token: 'probe', paths: ['secret/a'] } }), one)
  t.strictSame(await data('capabilities-accessor', { data: { accessor: 'probe-accessor', paths: ['secret/a'] } }), one)
  const proto = await call('write', 'capabilities-self', { token: probe, data: { paths: ['__proto__', 'constructor'] } })
  t.strictSame(JSON.stringify(proto.kind === 'data' ? proto.data : null), '{"__proto__":["deny"],"constructor":["deny"]}')

  const refusals: [string, Asked, string][] = [
    ['capabilities-self', { token: probe }, 'paths must be supplied'],
    ['capabilities-self', { token: probe, data: { paths: Array.from({ length: 1001 }, (_, n) => `p${n}`) } }, 'at most 1000 paths may be supplied'],
    ['capabilities', { data: { paths: ['a'] } }, 'no token found'],
    ['capabilities', { data: { paths: ['a'], token: 'other' } }, 'invalid token'],
    ['capabilities-accessor', { data: { paths: ['a'] } }, 'missing accessor'],
    ['capabilities-accessor', { data: { paths: ['a'], accessor: 'other' } }, 'invalid accessor']
  ]
  for (const [path, asked, message] of refusals) await t.rejects(call('write', path, asked), { code: 'invalid_request', message })
  await t.rejects(call('write', 'capabilities-self', { data: { paths: ['a'], token: 'probe' } }), { code: 'permission_denied' })
})

t.test('the resultant ACL', async (t) => {
  const { call, policies, probe } = await open()
  await policies.put('web', {
    text: `path "a" { capabilities = ["update", "read"] }
      path "p/*" { capabilities = ["list"] }
      path "d" { capabilities = ["deny"] }
      path "s/+/x" { capabilities = ["read"] }
      path "w" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "2m" }
      path "q" { capabilities = ["create"] allowed_parameters = { "a" = ["x"] } denied_parameters = { "b" = [] } required_parameters = ["a"] }`
  })
  const outcome = await call('read', 'internal/ui/resultant-acl', { token: probe })
  t.same(JSON.parse(JSON.stringify(outcome.kind === 'data' ? outcome.data : null)), {
    root: false,
    exact_paths: {
      a: { capabilities: ['read', 'update'] },
      d: { capabilities: ['deny'] },
      w: { capabilities: ['read'], min_wrapping_ttl: 60, max_wrapping_ttl: 120 },
      q: { capabilities: ['create'], allowed_parameters: { a: ['x'] }, denied_parameters: { b: [] }, required_parameters: ['a'] }
    },
    glob_paths: { 'p/': { capabilities: ['list'] } }
  })
  t.strictSame(await call('read', 'internal/ui/resultant-acl', { token: tokenOf({ policies: ['root'] }) }), { kind: 'data', data: { root: true } })
})
