import t from 'tap'
import { createEntryWriter, type AuditAnswer, type AuditSubject } from '../../src/audit/entry.ts'
import { createHasher } from '../../src/audit/hasher.ts'
import { ownNames } from '../../src/audit/names.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { mountOf, nowMs, subjectOf, tokenOf } from './fixtures.ts'

const hash = createHasher(Buffer.alloc(32, 7))
const writer = createEntryWriter({ hash, names: new Set([...ownNames, 'field', 'limit']), index: 0 })
const canary = 'CNRYabcdefghijklmnopqrstuvwx'

function request (more: Partial<AuditSubject>) {
  return JSON.parse(writer.request(subjectOf(more), nowMs))
}

function response (answer: AuditAnswer, more: Partial<AuditSubject> = {}) {
  return JSON.parse(writer.response(subjectOf(more), answer, nowMs))
}

t.test('a request entry has the form of contract 8', async (t) => {
  const mount = mountOf({ path: 'aws', type: 'aws', accessor: 'aws_1a2b3c4d' })
  t.strictSame(request({ mount, path: 'aws/sts/deploy', data: { ttl: '1h', cas: 3, renewable: true, name: null }, usesLeft: 2, token: tokenOf({ usesMax: 5 }), wrapTtlSeconds: 60 }), {
    time: '2026-01-01T00:00:00.000Z',
    type: 'request',
    auth: {
      client_token: hash('eyJ.client.token'), accessor: hash('4fAbCdEfGhIjKlMnOpQrStUv'), display_name: 'approle',
      policies: ['default', 'web'], token_policies: ['default', 'web'], metadata: { role_name: 'web' }, token_type: 'service',
      token_ttl: 1200, token_issue_time: '2026-01-01T00:00:00.000Z', num_uses: 5,
      policy_results: { allowed: true, granting_policies: [{ name: 'web', namespace_id: 'root', type: 'acl' }] }, remaining_uses: 2
    },
    request: {
      id: 'b7f2c9a0-0000-4000-8000-000000000001', operation: 'read', mount_point: 'aws/', mount_type: 'aws', mount_accessor: 'aws_1a2b3c4d',
      mount_class: 'secret', client_token: hash('eyJ.client.token'), client_token_accessor: hash('4fAbCdEfGhIjKlMnOpQrStUv'),
      namespace: { id: 'root' }, path: 'aws/sts/deploy', data: { ttl: hash('1h'), cas: 3, renewable: true, name: null },
      remote_address: '10.0.0.7', remote_port: 51234, wrap_ttl: 60
    }
  })
})

t.test('what is empty is left out', async (t) => {
  const entry = request({ token: null, clientToken: null, policyResults: { allowed: true, grantedBy: [] } })
  t.strictSame(Object.keys(entry), ['time', 'type', 'request'])
  for (const key of ['data', 'client_token', 'client_token_accessor', 'wrap_ttl', 'socket_address']) t.notOk(Object.hasOwn(entry.request, key), key)
})

t.test('a response entry repeats the request and tells of the answer', async (t) => {
  const subject = subjectOf({ path: 'auth/approle/login', token: null, mount: mountOf({ table: 'auth', path: 'approle', type: 'approle' }) })
  const asked = JSON.parse(writer.request(subject, nowMs))
  const entry = JSON.parse(writer.response(subject, {
    auth: {
      client_token: 'new-token', accessor: 'new-accessor', policies: ['web'], token_policies: ['web'], metadata: { role_name: 'web', run: canary },
      lease_duration: 1200, renewable: true, entity_id: '', token_type: 'service', orphan: true, mfa_requirement: null, num_uses: 0
    },
    leaseId: 'auth/approle/login/4fx',
    data: { keys: ['a', 'b'] },
    warnings: ['policy "x" is new'],
    wrapInfo: { token: 'wt', accessor: 'wa', ttl: 60, creation_time: '2026-01-01T00:00:00.1Z', creation_path: 'auth/approle/login', wrapped_accessor: 'new-accessor' }
  }, nowMs))
  t.strictSame(entry.request, asked.request)
  t.strictSame(entry.response, {
    auth: {
      client_token: hash('new-token'), accessor: hash('new-accessor'), policies: ['web'], token_policies: ['web'], token_type: 'service', orphan: true,
      num_uses: 0, metadata: { role_name: 'web', [hash('run')]: hash(canary) }, token_ttl: 1200
    },
    mount_point: 'auth/approle/', mount_type: 'approle', mount_accessor: 'kv_1a2b3c4d', mount_class: 'auth',
    secret: { lease_id: 'auth/approle/login/4fx' }, data: { keys: [hash('a'), hash('b')] }, warnings: [`policy "${hash('x')}" is new`],
    wrap_info: {
      ttl: 60, creation_time: '2026-01-01T00:00:00.1Z', creation_path: 'auth/approle/login', token: hash('wt'), accessor: hash('wa'), wrapped_accessor: hash('new-accessor')
    }
  })
})

t.test('times stand in clear, and only what is a time', async (t) => {
  const times = ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.123456789+02:00']
  const others = ['2026-01-02', '2026-01-02T03:04:05Z CNRY', ' 2026-01-02T03:04:05Z', '2026-01-02T03:04:05.1234567890123Z', '']
  t.strictSame(request({ data: { keys: [...times, ...others] } }).request.data.keys, [...times, ...others.map(hash)])
})

t.test('SEC-260 a canary in any place of a request or an answer is nowhere in clear', async (t) => {
  const places: Record<string, JsonObject> = {
    value: { data: { user: canary } },
    array: { keys: [[canary, [canary]], { a: [canary] }] },
    number: { pin: '1234', field: canary },
    key: { [canary]: 1, data: { [canary]: { [canary]: true } } },
    proto: JSON.parse(`{"__proto__":{"${canary}":"${canary}"},"constructor":"${canary}"}`)
  }
  for (const [name, data] of Object.entries(places)) {
    for (const secretKeys of ['all', new Set<string>()] as const) {
      t.notMatch(writer.request(subjectOf({ data, secretKeys }), nowMs), 'CNRY', name)
      t.notMatch(writer.response(subjectOf({ secretKeys }), { data, wrapInfo: { token: canary, accessor: canary }, auth: { client_token: canary, accessor: canary, metadata: { [canary]: canary } } }, nowMs), 'CNRY', name)
    }
  }
  const metadata = tokenOf({ accessor: '4fmetadata', metadata: { role_name: 'web', note: canary, [canary]: 'x' } })
  t.notMatch(writer.request(subjectOf({ clientToken: canary, token: metadata }), nowMs), 'CNRY')
  t.notMatch(writer.request(subjectOf({ mount: null, token: null, path: `nowhere/${canary}` }), nowMs), 'CNRY', 'path of no mount')
})

t.test('SEC-091 a token that was put into a path is hidden there', async (t) => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl'
  t.equal(request({ path: `auth/token/lookup/${token}` }).request.path, `auth/token/lookup/${hash(token)}`)
})

t.test('SEC-222 what may be a name that rotates is hidden in paths below sys/ and in sentences, and nothing else is', async (t) => {
  const name = 'secret10123456789abcdefghijklmnop'
  const system = mountOf({ path: 'sys', type: 'system' })
  const path = (text: string) => request({ path: text, mount: system }).request.path
  t.equal(path(`sys/internal/ui/mounts/${name}/a`), `sys/internal/ui/mounts/${hash(name)}/a`)
  for (const more of [`${name}.bak`, `${name}-policy`, `${name}x`, `a.${name}_1`, name.toUpperCase()]) {
    t.equal(path(`sys/policies/acl/${more}`), `sys/policies/acl/${hash(more)}`)
  }
  t.notOk(JSON.stringify(request({ mount: system, denial: `No secret engine mount at ${name}/` })).includes(name))
  for (const same of ['sys/policies/acl/a-rather-long-name-of-a-policy-there-is', 'sys/latchkey/secret-ids/1ae4a285-1400-4fd9-ba3d-81e2f9091b4d']) t.equal(path(same), same)
  const long = `${'a-'.repeat(900)}_`
  t.ok(path(long).startsWith('a-a-'))
})

t.test('SEC-264 a number beyond all numbers leaves the line JSON', async (t) => {
  const { data } = request({ data: { ttl: Infinity, limit: -Infinity, field: [Infinity] } }).request
  t.strictSame(Object.values(data).flat().length, 3)
})

t.test('SEC-260 a sentence that repeats what was sent does not bring it into the log', async (t) => {
  const data = { policies: canary, nested: [{ [`${canary}key`]: 1 }] }
  const sentences = [
    `unknown role "${canary}"`, `bad ${canary} here`, `Endpoint ignored these unrecognized parameters: [${canary}key field]`,
    `no handler for route "nowhere/${canary}x". route entry not found.`, `never closed "${canary}y and more`, `never closed [${canary}z`,
    `escaped "a\\"${canary}w" end`, `${'x'.repeat(5000)}${canary}`
  ]
  for (const sentence of sentences) {
    t.notMatch(writer.response(subjectOf({ data }), { error: sentence, warnings: [sentence] }, nowMs), 'CNRY', sentence.slice(0, 50))
    t.notMatch(writer.request(subjectOf({ data, denial: sentence }), nowMs), 'CNRY')
  }
  t.equal(response({ error: 'error converting input for field "field": expected an integer' }).error, 'error converting input for field "field": expected an integer', 'our own names stay')
  t.equal(response({ error: 'permission denied' }).error, 'permission denied')
  t.match(response({ warnings: ['Endpoint ignored these unrecognized parameters: [limit other]'] }).response.warnings[0], `[limit ${hash('other')}]`)
})

t.test('SEC-262 numbers and booleans are hidden under keys that are secret, not ours, or a caller\'s own data', async (t) => {
  const data = { ttl: 5, pin: 1234, data: { ttl: 7, on: true }, field: 9 }
  t.strictSame(request({ data, secretKeys: new Set(['field']) }).request.data,
    { ttl: 5, [hash('pin')]: hash('1234'), data: { ttl: hash('7'), [hash('on')]: hash('true') }, field: hash('9') })
  t.strictSame(request({ data: { token: 12345, secret_id: 678, id: 9 } }).request.data,
    { token: hash('12345'), secret_id: hash('678'), id: hash('9') }, 'a secret that was sent as a number')
  t.strictSame(request({ data: { ttl: 5, name: '2026-01-02T03:04:05Z', x: null }, secretKeys: 'all' }).request.data,
    { ttl: hash('5'), name: hash('2026-01-02T03:04:05Z'), [hash('x')]: null })
  t.strictSame(request({ data: { ttl: 5 }, policyResults: { allowed: false, grantedBy: [] } }).request.data, { ttl: hash('5') }, 'refused: nobody knows what it means')
})

t.test('the mount\'s operator may show values, but no token or secret_id', async (t) => {
  const mount = mountOf({ config: { auditNonHmacRequestKeys: ['team', 'secret_id', 'tags'], auditNonHmacResponseKeys: ['team'] } })
  t.strictSame(request({ mount, data: { team: 'core', secret_id: canary, tags: ['a', { b: 'c' }], other: 'x' } }).request.data,
    { team: 'core', secret_id: hash(canary), tags: ['a', { [hash('b')]: hash('c') }], [hash('other')]: hash('x') })
  t.strictSame(response({ data: { team: 'core' } }, { mount }).response.data, { team: 'core' })
  t.strictSame(request({ mount, data: { team: 'core' }, policyResults: { allowed: false, grantedBy: [] } }).request.data, { [hash('team')]: hash('core') })
})

t.test('SEC-263 data nested too deeply make no entry, and no stack overflows', async (t) => {
  let deep: JsonObject = {}
  for (let n = 0; n < 20_000; n++) deep = { a: deep }
  t.throws(() => writer.request(subjectOf({ data: deep }), nowMs), RangeError)
  const lists = JSON.parse(`{"a":${'['.repeat(200)}${']'.repeat(200)}}`) as JsonObject
  t.throws(() => writer.request(subjectOf({ data: lists }), nowMs), RangeError)
})

t.test('SEC-264 one line of JSON, whatever stands in it, cut at a fixed length', async (t) => {
  const evil = 'a\r\nb\u2028c\u2029d\u0000e\u001b[31mf\u009bg\ud800h\u202ei"j\\k\u007f\ufeff'
  const mount = mountOf({ path: evil })
  const token = tokenOf({ accessor: '4fevil', displayName: evil, policies: [evil], metadata: { role_name: evil } })
  const lines = [
    writer.request(subjectOf({
      path: evil, mount, token, remoteAddress: evil, id: evil, operation: evil, denial: evil,
      policyResults: { allowed: true, grantedBy: [evil] }
    }), nowMs),
    writer.response(subjectOf({ mount, token }), {
      leaseId: evil, warnings: [evil], error: evil, data: { [evil]: evil }
    }, nowMs)
  ]
  for (const line of lines) {
    t.ok(/^[\x20-\x7e]*$/.test(line), 'printable ASCII only')
    t.equal(JSON.parse(line).request.mount_point, `${evil}/`, 'nothing is lost')
  }
  const long = request({ path: `kv/${'x'.repeat(1_000_000)}` }).request.path
  t.equal(long.length, 1024 + '[+998979]'.length)
  t.equal(long.slice(-9), '[+998979]')
  t.ok(writer.request(subjectOf({ path: 'é'.repeat(3000), data: { a: 'x'.repeat(1_000_000) } }), nowMs).length < 3000)
})

t.test('SEC-283 large data become a hash and a length', async (t) => {
  const large: JsonObject = { keys: Array.from({ length: 9000 }, (_, n) => `key-${n}`) }
  const text = JSON.stringify(large)
  t.strictSame(response({ data: large }).response.data, { digest: hash(text), bytes: text.length })
  const one = response({ data: { a: 'x'.repeat(270_000) } }).response.data
  t.strictSame(one, { [hash('a')]: hash('x'.repeat(270_000)) })
})

t.test('SEC-277 both addresses are told where they differ', async (t) => {
  const { request: told } = request({ remoteAddress: '203.0.113.9', socketAddress: '10.1.1.1' })
  t.strictSame([told.remote_address, told.socket_address], ['203.0.113.9', '10.1.1.1'])
})

t.test('names of built-in properties are ordinary keys', async (t) => {
  const data = JSON.parse('{"__proto__":{"x":1},"toString":"a","hasOwnProperty":true}') as JsonObject
  t.strictSame(Object.keys(request({ data }).request.data).sort(), ['__proto__', 'toString', 'hasOwnProperty'].map(hash).sort())
})
