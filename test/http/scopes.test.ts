import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import {
  auditFaults, authOf, createRole, startAws, startBroker, textOf, wrapOf, type Answer, type Asked, type TestBroker
} from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

const scopes = 'sys/latchkey/scopes'
const make = (broker: TestBroker, name: string, body: JsonObject, asked: Asked = {}) =>
  broker.ask('POST', `${scopes}/${name}`, { body, ...asked })

interface OwnMount { readonly accessor: string, readonly path: string, readonly name: string }
const mountsOf = (made: Answer) => made.body.data?.['mounts'] as Record<string, OwnMount>

async function must (broker: TestBroker, name: string, body: JsonObject, asked: Asked = {}): Promise<Answer> {
  const made = await make(broker, name, body, asked)
  if (made.status !== 200) throw new Error(`${name} is ${made.status} ${made.text}`)
  return made
}

const login = (broker: TestBroker, made: Answer, asked: Asked = {}) => broker.ask('POST', 'auth/approle/login', {
  token: null, body: { role_id: textOf(made, 'role_id'), secret_id: textOf(made, 'secret_id') }, ...asked
})
const tokenOf = async (broker: TestBroker, made: Answer) => authOf(await login(broker, made)).client_token

/** All that a broker shows of scopes whose names begin so. */
async function shown (broker: TestBroker, prefix: string): Promise<string[]> {
  const keys = async (target: string) => {
    const { body } = await broker.ask('LIST', target)
    return (body.data?.['keys'] ?? []) as string[]
  }
  const mounts = Object.keys((await broker.must('GET', 'sys/mounts')).body.data ?? {})
  return [
    ...mounts.filter((path) => path.startsWith(prefix)),
    ...[...await keys(scopes), ...await keys('sys/policies/acl'), ...await keys('auth/approle/role')].filter((name) => name.replace('scope-', '').startsWith(prefix))
  ]
}

/** The targets of all operations of a mount, as its help tells them. */
async function targetsOf (broker: TestBroker, mount: string): Promise<string[]> {
  const help = String((await broker.must('GET', `${mount}?help=1`)).body['help'])
  return [...help.matchAll(/^ {4}\^(.*)\$\n/gm)].map(([, path = '']) =>
    `${mount}/${path.replace(/\(\?P<\w+>\[\^\/\]\+\)/g, 'some').replace(/\(\?P<\w+>\.\+\)/g, 'some/more')}`)
}

t.test('scopes', async (t) => {
  const broker = await startBroker(t, { emulator: await startAws(t) })

  t.test('one call makes what an operator needs, and one takes it all away', async (t) => {
    const made = await must(broker, 'ec2-only', {
      mounts: { 'ec2-only': { version: 2, rotation: { prefix: 'secret1', stable_path: 'never', grace_period: '1h' } } },
      grants: { 'aws/creds/ec2-only': ['read'] },
      token_ttl: '20m',
      metadata: { run_id: 'run-7' }
    })
    t.match(made.body.data, { name: 'ec2-only', auth: 'approle', role_name: 'scope-ec2-only', policy: /^scope-ec2-only-[0-9a-f]{8}$/ })
    const { name = '', accessor = '' } = mountsOf(made)['ec2-only'] ?? {}
    t.match(name, /^secret1[0-9a-v]{26}$/)
    const auth = authOf(await login(broker, made))
    t.strictSame(auth.policies, ['default', textOf(made, 'policy')])
    t.equal(auth.lease_duration, 1200)
    t.match(auth.metadata, { run_id: 'run-7', role_name: 'scope-ec2-only' })
    const token = auth.client_token
    await broker.must('POST', `${name}/data/a`, { token, body: { data: { value: 'one' } } })
    t.equal((await broker.must('GET', `${name}/data/a`, { token })).status, 200)
    t.equal((await broker.ask('GET', 'ec2-only/data/a', { token })).status, 404, 'its own path does not answer')
    await broker.must('POST', 'sys/latchkey/rotation/ec2-only/rotate', {})
    const next = textOf(await broker.must('GET', 'sys/latchkey/resolve/ec2-only', { token }), 'name')
    t.not(next, name)
    t.equal((await broker.must('GET', `${next}/data/a`, { token })).status, 200, 'who holds the token learns the next name')
    const vend = await broker.must('GET', 'aws/creds/ec2-only', { token })
    t.match(await broker.must('GET', `${scopes}/ec2-only`), { body: { data: { state: 'made', mounts: { 'ec2-only': { accessor, version: '2', rotates: true } }, grants: { 'aws/creds/ec2-only': ['read'] } } } })
    t.strictSame((await broker.must('LIST', scopes)).body.data?.['keys'], ['ec2-only'])
    const child = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['default'] } })).client_token

    t.equal((await broker.ask('DELETE', `${scopes}/ec2-only`)).status, 204)
    t.match(await login(broker, made), { status: 400, text: '{"errors":["invalid role or secret ID"]}' })
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
    t.equal((await broker.ask('GET', `${next}/data/a`)).status, 404)
    t.strictSame(await shown(broker, 'ec2-only'), [])
    t.equal((await broker.ask('GET', `${scopes}/ec2-only`)).status, 404)
    t.equal((await broker.ask('DELETE', `${scopes}/ec2-only`)).status, 204, 'what is not there is no error')
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: child })).status, 200, 'others live on')
    await until('its leases end', async () => (await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: vend.body.lease_id ?? '' } })).status === 400)
  })

  t.test('SEC-026 SEC-033 its token does just what it is for, of all that the broker can do', async (t) => {
    await broker.must('POST', 'sys/mounts/foreign', { body: { type: 'kv', options: { version: '2' } } })
    const made = await must(broker, 'walk', {
      mounts: { 'walk/keys': { version: 2 }, 'walk/plain': {}, 'walk/read': { version: 2, capabilities: ['read'] }, 'walk/names': { rotation: { stable_path: 'never' } } },
      grants: { 'aws/creds/ec2-only': ['read'] }
    })
    const [token, plain] = [await tokenOf(broker, made), (await broker.tokenFor('path "nothing" { capabilities = ["read"] }')).client_token]
    const mounts = ['sys', 'auth/token', 'cubbyhole', 'auth/approle', 'aws', 'foreign', 'walk/keys', 'walk/plain', 'walk/read']
    const all = (await Promise.all(mounts.map((mount) => targetsOf(broker, mount)))).flat()
    const targets = [
      ...all.filter((target) => !target.endsWith('revoke-self')),
      'foreign', 'walk', 'walk/names', 'walk/names/x', `${mountsOf(made)['walk/names']?.name ?? ''}/x`, 'aws/creds/ec2-only', 'aws/sts/ec2-only', 'aws/roles/ec2-only',
      'sys/latchkey/resolve/walk/names', 'sys/latchkey/resolve/walk/keys', 'sys/latchkey/stable/walk/names', 'sys/latchkey/resolve/foreign', `${scopes}/walk`, `${scopes}/walk/secret-id`,
      'auth/approle/role/scope-walk', 'auth/approle/role/scope-walk/secret-id', `sys/policies/acl/${textOf(made, 'policy')}`
    ]
    const served: string[] = []
    for (const target of new Set(targets)) {
      for (const method of ['GET', 'LIST', 'POST', 'PATCH', 'DELETE']) {
        const asked = { ...['POST', 'PATCH'].includes(method) && { body: {} }, ...method === 'PATCH' && { headers: { 'content-type': 'application/merge-patch+json' } } }
        const { status, text } = await broker.ask(method, target, { token, ...asked })
        const isOpen = async () => (await broker.ask(method, target, { token: plain, ...asked })).status !== 403
        if (status !== 403 && !text.includes('no handler for route') && !await isOpen()) served.push(`${method} ${target.replace(mountsOf(made)['walk/names']?.name ?? '', 'NAME')}`)
      }
    }
    t.strictSame(served.sort(), [
      ...['GET', 'LIST', 'POST', 'DELETE'].map((method) => `${method} walk/plain/some/more`),
      ...['GET', 'LIST', 'POST', 'DELETE'].map((method) => `${method} NAME/x`),
      ...['GET', 'POST', 'DELETE'].map((method) => `${method} walk/keys/data/some/more`),
      ...['GET', 'LIST', 'POST', 'DELETE'].map((method) => `${method} walk/keys/metadata/some/more`),
      ...['delete', 'destroy', 'undelete'].map((word) => `POST walk/keys/${word}/some/more`),
      'LIST walk/keys/metadata', 'LIST walk/plain/', 'GET walk/keys/subkeys/some/more', 'GET walk/read/data/some/more', 'GET walk/read/metadata/some/more', 'GET walk/read/subkeys/some/more',
      'GET aws/creds/ec2-only', 'GET sys/latchkey/resolve/walk/names'
    ].sort())
    await broker.must('DELETE', `${scopes}/walk`)
  })

  t.test('SEC-097 nobody gets by a scope what he has not: each attempt is refused and leaves nothing', async (t) => {
    await broker.must('POST', 'sys/mounts/kv', { body: { type: 'kv' } })
    await broker.must('POST', 'sys/auth/other', { body: { type: 'approle' } })
    await broker.must('POST', 'sys/mounts/turning', { body: { type: 'kv' } })
    await broker.must('POST', 'sys/latchkey/rotation/turning', { body: {} })
    const turning = textOf(await broker.must('GET', 'sys/latchkey/resolve/turning'), 'name')
    const { client_token: token } = await broker.tokenFor(`
      path "${scopes}/team-*" { capabilities = ["read", "update", "delete"] }
      path "sys/mounts/extra/*" { capabilities = ["update"] }
      path "sys/mounts/tuned/tune" { capabilities = ["update"] }
      path "sys/mounts/bounded" { capabilities = ["update"]
        allowed_parameters = { "type" = ["aws"] } }
      path "aws/creds/ec2-only" { capabilities = ["read"] }
      path "kv/shared/*" { capabilities = ["read", "list", "sudo"] }
      path "kv/shared/secret" { capabilities = ["deny"] }
      path "kv/open/*" { capabilities = ["read", "list"] }
      path "kv/wrapped" { capabilities = ["read"]
        min_wrapping_ttl = "1s" }
      path "kv/ends" { capabilities = ["read"]
        expiration = "2099-01-01T00:00:00Z" }
      path "kv/params" { capabilities = ["update"]
        denied_parameters = { "a" = [] } }
      path "sys/leases/revoke-prefix/*" { capabilities = ["update", "sudo"] }
      path "turning/*" { capabilities = ["read"] }`)
    const own = { 'team-a': {} }
    const grant = (path: string, ...capabilities: string[]) => ({ mounts: own, grants: { [path]: capabilities } })
    const attempts: [number, JsonObject][] = [
      [403, grant('aws/creds/other', 'read')], [403, grant('aws/creds/*', 'read')], [403, grant('aws/creds/+', 'read')], [403, grant('aws/creds/ec2-only', 'read', 'update')],
      [403, grant('AWS/creds/ec2-only', 'read')], [403, grant('kv/shared/*', 'read')], [403, grant('kv/shared/secret', 'read')], [403, grant('kv/shared/SECRET', 'read')], [403, grant('kv/s*', 'read')],
      [403, grant('kv/shared/x', 'update')], [403, grant('kv/wrapped', 'read')], [403, grant('kv/ends', 'read')], [403, grant('kv/params', 'update')],
      [403, grant('sys/policies/acl/x', 'update')], [403, grant('auth/token/create', 'update')], [403, grant('auth/approle/role/ci/secret-id', 'update')],
      [403, grant(`${scopes}/*`, 'update')], [403, grant(`${scopes}/x`, 'update')], [403, grant('sys/latchkey/stable/kv', 'read')],
      [400, grant('kv/shared/x', 'read', 'sudo')], [400, grant('kv/open/x', 'root')], [400, grant('kv/open/x', 'deny')], [400, grant('kv/open/x')],
      [400, grant('sys/leases/revoke-prefix/kv', 'update')], [400, grant('sys/leases/*', 'update')], [400, grant('sys/*', 'read')], [400, grant('sys/auth/x', 'read')], [400, grant('s*', 'read')], [400, grant('+/auth/x', 'read')], [400, grant('auth/token/accessors', 'list')],
      [400, grant('*', 'read')], [400, grant('+*', 'read')], [400, grant('kv/open/+*', 'read')], [400, grant('kv/o*n/x', 'read')], [400, grant('/kv/open/x', 'read')], [400, grant('', 'read')], [400, grant('kv/open//x', 'read')],
      [400, grant('kv/open/x" { capabilities = ["read"] } path "kv', 'read')], [400, grant('kv/open/\\" x', 'read')], [400, grant('kv/open/{{identity.entity.id}}', 'read')], [400, grant('kv/open/x\n', 'read')], [400, grant('kv/open/é', 'read')], [400, grant('kv/open/..', 'read')], [400, grant('kv/open/%2e', 'read')],
      [403, grant(`${turning}/x`, 'read')],
      [403, { mounts: { kv2: {} } }], [403, { mounts: { 'team-b': {} } }], [403, { mounts: { 'team-a-b': {} } }], [403, { mounts: { bounded: {} } }], [403, { mounts: { extra: {} } }], [403, { mounts: { 'teAm-A2': {} } }],
      [403, { mounts: { 'team-a': { rotation: { prefix: 'kv3/x-' } } } }], [403, { mounts: { 'team-a': { rotation: { prefix: 'team-b/' } } } }], [403, { mounts: { 'team-a': { rotation: { prefix: 'team-a-b/' } } } }], [403, { mounts: { 'team-a': { rotation: { prefix: 'team-a-b/x-' } } } }], [403, { mounts: { 'team-a': { rotation: { prefix: 'tuned/tune' } } } }],
      [403, { mounts: { 'team-a': { rotation: { on_tripwire: 'revoke-token' } } } }], [403, { mounts: { 'team-a': { rotation: { on_tripwire: 'revoke-secret-id' } } } }], [400, { mounts: { 'team-a/tune': {} } }], [400, { mounts: { 'tuned/tune': {} } }],
      [403, { mounts: { kv: {} } }], [403, { mounts: { 'kv/x': {} } }], [400, { mounts: { sys: {} } }], [400, { mounts: { 'auth/x': {} } }],
      [400, { mounts: { 'extra/sys/../x': {} } }], [400, { mounts: { 'team-a/x"y': {} } }], [400, { mounts: { 'team-a/+': {} } }], [400, { mounts: { 'team-a/*': {} } }], [400, { mounts: { ' team-a': {} } }], [400, { mounts: { '': {} } }], [400, { mounts: { __proto__x: {} } }],
      [403, { mounts: own, auth: 'other' }], [403, { mounts: own, auth: 'token' }], [403, { mounts: own, auth: 'nothing' }]
    ]
    for (const [status, body] of attempts) {
      const answer = await make(broker, 'team-a', body, { token })
      t.equal(answer.status, status, `${JSON.stringify(body)} ${answer.text}`)
    }
    t.equal((await make(broker, 'other', { mounts: { other: {} } }, { token })).status, 403, 'another scope')
    t.strictSame(await shown(broker, 'team-'), [])

    const made = await must(broker, 'team-a', { mounts: { 'team-a': {}, 'extra/a': { rotation: { prefix: 'extra-a-' } } }, grants: { 'aws/creds/ec2-only': ['read'], 'kv/open/*': ['read'], 'kv/shared/x': ['list', 'read'] } }, { token })
    const scoped = await tokenOf(broker, made)
    t.strictSame((await broker.must('POST', 'sys/capabilities-self', { token: scoped, body: { paths: ['kv/open/a', 'kv/shared/x', 'kv/shared/y', 'team-a/x', 'extra/a/x', 'extra/b'] } })).body.data, {
      'kv/open/a': ['read'], 'kv/shared/x': ['list', 'read'], 'kv/shared/y': ['deny'], 'team-a/x': ['create', 'delete', 'list', 'read', 'update'], 'extra/a/x': ['create', 'delete', 'list', 'read', 'update'], 'extra/b': ['deny']
    })
    await broker.must('DELETE', `${scopes}/team-a`, { token })
    t.strictSame(await shown(broker, 'team-'), [])
  })

  t.test('who is bound to addresses makes nothing that is not', async (t) => {
    await broker.must('PUT', 'sys/policies/acl/bound', { body: { policy: `path "${scopes}/bound" { capabilities = ["update", "delete"] }` } })
    const role = await createRole(broker, 'bound', { token_policies: 'bound', token_bound_cidrs: '127.0.0.8/30' })
    const from = '127.0.0.9'
    const { client_token: token } = authOf(await role.login((await role.secretId()).secretId, { from }))
    for (const token_bound_cidrs of ['0.0.0.0/0', '127.0.0.0/8', '127.0.0.9,127.0.0.1']) {
      t.equal((await make(broker, 'bound', { mounts: { bound: {} }, token_bound_cidrs }, { token, from })).status, 400, token_bound_cidrs)
    }
    const made = await must(broker, 'bound', { mounts: { bound: {} } }, { token, from })
    const scoped = await tokenOf(broker, made)
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: scoped })).status, 403)
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: scoped, from })).status, 200)
    await broker.must('DELETE', `${scopes}/bound`)
  })

  t.test('nor does he make a secret_id that is not, of whosever scope', async (t) => {
    const made = await must(broker, 'shared', { mounts: { shared: {} }, token_bound_cidrs: '127.0.0.0/8' })
    await broker.must('PUT', 'sys/policies/acl/issuer', { body: { policy: `path "${scopes}/shared/secret-id" { capabilities = ["update"] }` } })
    for (const [bound, from] of [['127.0.0.8/30', '127.0.0.9'], ['127.0.0.9', '127.0.0.9']] as const) {
      const role = await createRole(broker, 'issuer', { token_policies: 'issuer', token_bound_cidrs: bound })
      const { client_token: token } = authOf(await role.login((await role.secretId()).secretId, { from }))
      for (const token_bound_cidrs of ['127.0.0.0/8', '0.0.0.0/0']) {
        t.equal((await broker.ask('POST', `${scopes}/shared/secret-id`, { body: { token_bound_cidrs }, token, from })).status, 400, token_bound_cidrs)
      }
      const other = await broker.must('POST', `${scopes}/shared/secret-id`, { body: {}, token, from })
      const pair = { role_id: textOf(made, 'role_id'), secret_id: textOf(other, 'secret_id') }
      const scoped = authOf(await broker.must('POST', 'auth/approle/login', { token: null, body: pair })).client_token
      t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: scoped })).status, 403)
      t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: scoped, from })).status, 200)
    }
    await broker.must('DELETE', `${scopes}/shared`)
  })

  t.test('who has not the policy default hands it on to nobody, and who has counted uses hands on no right', async (t) => {
    const policy = `path "${scopes}/few" { capabilities = ["update", "delete"] }\npath "aws/creds/ec2-only" { capabilities = ["read"] }`
    const { client_token: token } = await broker.tokenFor(policy, { no_default_policy: true })
    const made = await must(broker, 'few', { mounts: { few: {} } }, { token })
    t.strictSame(authOf(await login(broker, made)).policies, [textOf(made, 'policy')])
    t.match((await must(broker, 'few', { mounts: { few: {} } }, { token })).body.warnings, [/is there already/])
    await broker.must('DELETE', `${scopes}/few`, { token })

    const counted = (await broker.tokenFor(policy, { num_uses: 5 })).client_token
    t.match(await make(broker, 'few', { mounts: { few: {} }, grants: { 'aws/creds/ec2-only': ['read'] } }, { token: counted }), { status: 403, text: /counted/ })
    await must(broker, 'few', { mounts: { few: {} } }, { token: counted })
    await broker.must('DELETE', `${scopes}/few`)
  })

  t.test('an answer from a mount of a scope that was wrapped goes with it', async (t) => {
    const made = await must(broker, 'wraps', { mounts: { wraps: {} } })
    const token = await tokenOf(broker, made)
    await broker.must('POST', 'wraps/a', { token, body: { value: 'held' } })
    const wrapped = wrapOf(await broker.must('GET', 'wraps/a', { token, headers: { 'x-vault-wrap-ttl': '1h' } }))
    await broker.must('DELETE', `${scopes}/wraps`)
    t.equal((await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token })).status, 400)
  })

  t.test('SEC-025 SEC-064 what is not understood is refused, on every level, and nothing is made', async (t) => {
    const own = { bad: {} }
    const bodies: JsonObject[] = [
      {}, { mounts: {} }, { mounts: [] }, { mounts: 'x' }, { mounts: 'null' }, { mounts: '{"bad":{},"bad":{"version":2}}' }, { mounts: `{"bad":${'['.repeat(100)}${']'.repeat(100)}}` }, { mounts: { bad: null } }, { mounts: { bad: [] } }, { mounts: { bad: { type: 'aws' } } }, { mounts: { bad: { version: 3 } } }, { mounts: { bad: { type: 'exec' } } },
      { mounts: { bad: { capabilites: ['read'] } } }, { mounts: { bad: { capabilities: [] } } }, { mounts: { bad: { capabilities: ['sudo'] } } }, { mounts: { bad: { rotation: { schedul: 'x' } } } }, { mounts: { bad: { rotation: { schedule: '* * * * * *' } } } },
      { mounts: { bad: { rotation: { stable_path: 'maybe' } } } }, { mounts: { bad: { rotation: { prefix: '-x' } } } }, { mounts: { bad: {}, 'bad/x': {} } }, { mounts: { bad: {}, BAD: {} } },
      { mounts: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`bad/${n}`, {}])) }, { mounts: own, grants: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`kv/${n}`, ['read']])) },
      { mounts: own, token_bound_cidr: '10.0.0.0/8' }, { mounts: own, token_bound_cidrs: 'x' }, { mounts: own, secret_id_bound_cidrs: '10.0.0.1' }, { mounts: own, token_bound_cidrs: Array.from({ length: 65 }, (_, n) => `10.0.0.${n}`) },
      { mounts: own, token_ttl: '-1' }, { mounts: own, token_ttl: '2h', token_max_ttl: '1h' }, { mounts: own, secret_id_num_uses: -1 }, { mounts: own, secret_id_num_uses: 0.4 }, { mounts: own, metadata: { a: 1 } }, { mounts: own, metadata: ['x'] }, { mounts: own, metadata: { a: 'x'.repeat(20_000) } },
      { mounts: own, auth: '+*' }, { mounts: own, auth: '*' }, { mounts: own, auth: 'a"b' }, { mounts: own, auth: 'other/../approle' }, { mounts: { bad: { description: 'x'.repeat(1025) } } },
      { mounts: own, grants: ['kv/x'] }, { mounts: own, grants: { 'kv/x': { capabilities: ['read'] } } }, { mounts: own, grants: { 'kv/x': 'everything' } }, { mounts: own, auth: 'nothing' }, { mounts: own, auth: 'token' }
    ]
    for (const body of bodies) {
      const { status, text } = await make(broker, 'bad', body)
      t.equal(status, 400, `${JSON.stringify(body).slice(0, 80)} ${text.slice(0, 160)}`)
    }
    for (const name of ['Bad', 'bad-', '.bad', 'a..b', 'bad%20', 'x'.repeat(65), '__proto__', 'b%2fad', 'bäd']) {
      t.equal((await make(broker, encodeURI(name).replaceAll('%25', '%'), { mounts: own })).status, 400, name)
    }
    t.strictSame((await shown(broker, 'bad')).concat(await shown(broker, 'Bad')), [])
  })

  t.test('what stands in the way stays as it is: mounts, roles, scopes', async (t) => {
    await broker.must('POST', 'sys/mounts/taken', { body: { type: 'kv' } })
    await broker.must('POST', 'auth/approle/role/scope-taken', { body: { token_policies: 'default' } })
    const before = await broker.must('GET', 'auth/approle/role/scope-taken/role-id')
    for (const mounts of [{ taken: {} }, { 'taken/x': {} }, { 'taken-2': {} }]) {
      t.equal((await make(broker, 'taken', { mounts })).status, 400, JSON.stringify(mounts))
    }
    t.strictSame((await broker.must('GET', 'auth/approle/role/scope-taken/role-id')).body.data, before.body.data)
    t.strictSame(await shown(broker, 'taken'), ['taken/', 'scope-taken'])
  })

  t.test('asked for again a scope is answered without its secret, and asked for otherwise it is refused', async (t) => {
    const body = { mounts: { again: { capabilities: ['list', 'read'] } }, token_ttl: '1h' }
    const made = await must(broker, 'again', body)
    const answer = await must(broker, 'again', { token_ttl: 3600, mounts: { again: { version: '1', capabilities: 'read,list', type: 'kv' } } })
    const { name, role_id } = made.body.data ?? {}
    t.match(answer.body, { data: { name, role_id, mounts: { again: { path: 'again' } } }, warnings: [/is there already/] })
    t.notMatch(answer.text, /"secret_id/)
    for (const other of [{ ...body, token_ttl: '2h' }, { mounts: { again: {} } }, { ...body, metadata: { a: 'b' } }]) {
      t.match(await make(broker, 'again', other), { status: 400, text: /made otherwise/ })
    }
    t.equal((await login(broker, made)).status, 200)

    const another = await broker.must('POST', `${scopes}/again/secret-id`, { body: { num_uses: 1, ttl: '1m', metadata: { who: 'x' } } })
    t.match(another.body.data, { secret_id_ttl: 60, secret_id_num_uses: 1 })
    const pair = { token: null, body: { role_id: String(role_id), secret_id: textOf(another, 'secret_id') } }
    t.equal(authOf(await broker.must('POST', 'auth/approle/login', pair)).metadata?.['who'], 'x')
    t.equal((await broker.ask('POST', 'auth/approle/login', pair)).status, 400)
    for (const wrong of [{ num_use: 1 }, { ttl: '-1' }, { cidr_list: 'x' }]) t.equal((await broker.ask('POST', `${scopes}/again/secret-id`, { body: wrong })).status, 400)
    t.equal((await broker.ask('POST', `${scopes}/never/secret-id`, { body: {} })).status, 404)
    await broker.must('DELETE', 'auth/approle/role/scope-again')
    t.equal((await broker.ask('POST', `${scopes}/again/secret-id`, { body: {} })).status, 400, 'an operator took the role away')
    await broker.must('DELETE', `${scopes}/again`)
    t.strictSame(await shown(broker, 'again'), [])
  })

  t.test('names that objects have by themselves are names like any other', async (t) => {
    for (const name of ['constructor', 'tostring', 'valueof', 'hasownproperty']) {
      const made = await must(broker, name, { mounts: { [`${name}/constructor`]: { rotation: { stable_path: 'never' } } }, grants: { 'constructor/x': ['read'] }, metadata: { constructor: 'x' } })
      const token = await tokenOf(broker, made)
      await broker.must('POST', `${mountsOf(made)[`${name}/constructor`]?.name ?? ''}/constructor`, { token, body: { value: '1' } })
      t.match((await broker.must('GET', `${scopes}/${name}`)).body.data, { grants: { 'constructor/x': ['read'] } })
      await broker.must('DELETE', `${scopes}/${name}`)
      t.strictSame(await shown(broker, name), [])
    }
  })

  t.test('SEC-029 a later scope of the same name has nothing of the former, and its tokens nothing of the later', async (t) => {
    const body = { mounts: { twice: {} } }
    const first = await must(broker, 'twice', body)
    const outlived = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: [textOf(first, 'policy')], no_parent: true } })).client_token
    await broker.must('POST', 'twice/a', { token: outlived, body: { value: '1' } })
    await broker.must('DELETE', `${scopes}/twice`)
    const second = await must(broker, 'twice', body)
    t.equal((await broker.ask('GET', 'twice/a')).status, 404)
    t.equal((await broker.ask('GET', 'twice/a', { token: outlived })).status, 403)
    t.equal((await login(broker, first)).status, 400)
    t.equal((await login(broker, second)).status, 200)
    await broker.must('DELETE', `${scopes}/twice`)
  })

  t.test('what belongs to a scope goes with it, and not by itself', async (t) => {
    await must(broker, 'whole', { mounts: { whole: {} } })
    t.match(await broker.ask('DELETE', 'sys/mounts/whole'), { status: 400, text: /belongs to a scope/ })
    t.match(await broker.ask('POST', 'sys/remount', { body: { from: 'whole', to: 'elsewhere' } }), { status: 400, text: /belongs to a scope/ })
    await broker.must('POST', 'sys/mounts/whole/tune', { body: { description: 'changed' } })
    await broker.must('DELETE', `${scopes}/whole`)
    t.strictSame(await shown(broker, 'whole'), [])
  })

  t.test('SEC-072 where its maker has to wrap, nobody sees the secret on its way', async (t) => {
    const { client_token: token } = await broker.tokenFor(`path "${scopes}/+" { capabilities = ["update"]\nmin_wrapping_ttl = "1s"\nmax_wrapping_ttl = "2m" }`)
    const body = { mounts: { sealed: {} } }
    t.equal((await make(broker, 'sealed', body, { token })).status, 403)
    t.strictSame(await shown(broker, 'sealed'), [])
    const wrapped = wrapOf(await must(broker, 'sealed', body, { token, headers: { 'x-vault-wrap-ttl': '60' } }))
    t.match(wrapped.wrapped_accessor, /^[0-9a-f-]{36}$/)
    const opened = await broker.must('POST', 'sys/wrapping/unwrap', { token: wrapped.token })
    t.equal((await login(broker, opened)).status, 200)
    await broker.must('DELETE', `${scopes}/sealed`)
  })

  t.test('many at once: of one name one is made, of many names all', async (t) => {
    const body = { mounts: { race: {} } }
    const answers = await Promise.all(Array.from({ length: 8 }, () => make(broker, 'race', body)))
    t.equal(answers.filter(({ text }) => text.includes('"secret_id"')).length, 1)
    t.ok(answers.every(({ status, text }) => status === 200 || (status === 400 && /is being made/.test(text))))
    const others = await Promise.all(Array.from({ length: 6 }, (_, n) => make(broker, `race-${n}`, { mounts: { [`race-${n}`]: {} } })))
    t.ok(others.every(({ status }) => status === 200))
    const same = await Promise.all(Array.from({ length: 4 }, (_, n) => make(broker, `race-same-${n}`, { mounts: { 'race-same': {} } })))
    t.strictSame(same.map(({ status }) => status).sort(), [200, 400, 400, 400])
    const ends = await Promise.all(['race', ...others.map((_, n) => `race-${n}`), ...same.map((_, n) => `race-same-${n}`), 'race'].map((name) => broker.ask('DELETE', `${scopes}/${name}`)))
    t.ok(ends.every(({ status }) => status === 204))
    t.strictSame(await shown(broker, 'race'), [])
  })

  await judgeAudit(t, broker)
})

/** SEC-222, SEC-258, SEC-260: what a scope's making answers stands nowhere else. */
async function judgeAudit (t: Test, broker: TestBroker): Promise<void> {
  await t.test('SEC-222 SEC-258 SEC-260 the log has all of it and no secret, nor does an answer or the output', async (t) => {
    const made = await must(broker, 'secret', { mounts: { secret: { rotation: { stable_path: 'never' } } }, metadata: { note: 'metadata-that-nobody-sees' } })
    const { name = '' } = mountsOf(made)['secret'] ?? {}
    const another = await broker.must('POST', `${scopes}/secret/secret-id`, { body: {} })
    const refused = [await make(broker, 'secret-2', { mounts: { 'secret-2': {} }, grants: { [`${name}/x`]: ['read'] } }), await make(broker, 'secret-2', { mounts: { [name]: {} } })]
    t.ok(refused.every(({ status }) => status === 400))
    const all = [broker.auditText(), broker.output(), (await broker.must('GET', `${scopes}/secret`)).text, (await must(broker, 'secret', { mounts: { secret: { rotation: { stable_path: 'never' } } }, metadata: { note: 'metadata-that-nobody-sees' } })).text, (await broker.must('LIST', scopes)).text].join('\n')
    for (const secret of [textOf(made, 'secret_id'), textOf(another, 'secret_id'), name.slice(-26), 'metadata-that-nobody-sees']) t.notOk(all.includes(secret), secret.slice(0, 4))
    t.match(broker.auditText(), '"path":"sys/latchkey/scopes/secret"')
    t.strictSame(auditFaults(broker), [])
    await broker.must('DELETE', `${scopes}/secret`)
  })
}
