import t from 'tap'
import { auditFaults, authOf, startBroker } from '../helpers/broker.ts'

const refused = '{"errors":["permission denied"]}'
const everything = '["create", "read", "update", "delete", "list", "patch"]'

t.test('policies', async (t) => {
  const broker = await startBroker(t)
  const write = (name: string, policy: string) => broker.ask('PUT', `sys/policies/acl/${name}`, { body: { policy } })

  t.test('SEC-013 a name is one name in any case: policies, AppRole roles and mounts', async (t) => {
    const { body } = await broker.must('PUT', 'sys/policies/acl/Admin', { body: { policy: 'path "a" { capabilities = ["read"] }' } })
    t.match(body.warnings, [/converted to admin/])
    await broker.must('PUT', 'sys/policies/acl/admin', { body: { policy: 'path "b" { capabilities = ["read"] }' } })
    for (const name of ['admin', 'ADMIN', 'Admin']) {
      t.match((await broker.must('GET', `sys/policies/acl/${name}`)).body.data?.['policy'], /path "b"/, name)
    }
    await broker.must('POST', 'auth/approle/role/Folded', { body: { token_ttl: '5m' } })
    await broker.must('POST', 'auth/approle/role/folded', { body: { token_ttl: '6m' } })
    const roles = (await broker.must('LIST', 'auth/approle/role')).body.data?.['keys']
    t.strictSame([roles].flat().filter((name) => String(name).toLowerCase() === 'folded'), ['folded'])
    t.equal((await broker.must('GET', 'auth/approle/role/FOLDED')).body.data?.['token_ttl'], 360)
    const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['ADMIN', 'admin'] } }))
    t.strictSame((await broker.must('GET', 'auth/token/lookup-self', { token })).body.data?.['policies'], ['admin', 'default'])
  })

  t.test('SEC-014 SEC-015 what only looks like a name is refused, and changes nothing', async (t) => {
    const before = (await broker.must('LIST', 'sys/policies/acl')).text.replace(/"request_id":"[^"]*"/, '')
    for (const name of ['r%D0%BE%D0%BEt', '%72oot', 'root%00', 'root%20', '..root', 'a..b', '-x', `${'a'.repeat(129)}`, 'a%2Fb', 'ns/root', 'root']) {
      t.ok([400, 404].includes((await write(name, 'path "*" { capabilities = ["read"] }')).status), name)
    }
    t.equal((await broker.ask('DELETE', 'sys/policies/acl/root')).status, 400)
    t.equal((await write('response-wrapping', 'path "*" { capabilities = ["read"] }')).status, 400)
    t.equal((await broker.must('LIST', 'sys/policies/acl')).text.replace(/"request_id":"[^"]*"/, ''), before)
  })

  t.test('SEC-020 SEC-021 one deny of a path wins over all that allow it; a more specific rule wins over a deny', async (t) => {
    await write('allows', 'path "cubbyhole/same" { capabilities = ["read", "create"] }\npath "cubbyhole/broad/in" { capabilities = ["create", "read"] }')
    await write('denies', 'path "cubbyhole/same" { capabilities = ["deny"] }\npath "cubbyhole/broad/*" { capabilities = ["deny"] }')
    for (const policies of [['allows', 'denies'], ['denies', 'allows']]) {
      const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies, no_default_policy: true } }))
      t.equal((await broker.ask('GET', 'cubbyhole/same', { token })).text, refused)
      t.equal((await broker.ask('PUT', 'cubbyhole/same', { token, body: { a: 1 } })).text, refused)
      t.equal((await broker.ask('GET', 'cubbyhole/broad/out', { token })).text, refused)
      t.equal((await broker.ask('GET', 'cubbyhole/broad/in', { token })).status, 404)
    }
  })

  t.test('SEC-022 a malformed policy is refused and the former one stays in force', async (t) => {
    await write('kept', 'path "cubbyhole/kept" { capabilities = ["read"] }')
    const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['kept'], no_default_policy: true } }))
    const malformed = [
      'path "cubbyhole/kept" { capabilities = ["raed"] }', 'path "cubbyhole/+*" { capabilities = ["read"] }', 'path "a" { capabilites = ["read"] }',
      'path "a" {', 'pth "a" { capabilities = ["read"] }', 'not a policy', '[]', '{"path":', ''
    ]
    for (const policy of malformed) {
      t.equal((await write('kept', policy)).status, 400, policy)
      t.equal((await broker.ask('GET', 'cubbyhole/kept', { token })).status, 404)
    }
    await write('kept', 'path "cubbyhole/other" { capabilities = ["read"] }')
    t.equal((await broker.ask('GET', 'cubbyhole/kept', { token })).text, refused, 'a change holds at once')
  })

  t.test('SEC-023 a template that nothing fills grants nothing', async (t) => {
    await write('templated', `path "cubbyhole/{{identity.entity.name}}/*" { capabilities = ${everything} }`)
    const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create', {
      body: { policies: ['templated'], no_default_policy: true, meta: { name: '*', 'identity.entity.name': '+' } }
    }))
    for (const path of ['cubbyhole/x/y', 'cubbyhole//y', 'cubbyhole/*/y', 'cubbyhole/+/y', 'cubbyhole/{{identity.entity.name}}/y']) {
      t.equal((await broker.ask('GET', path, { token })).text, refused, path)
    }
  })

  t.test('SEC-025 a parameter in another dress is judged as in its plain one', async (t) => {
    const { client_token: token } = await broker.tokenFor(`
      path "auth/approle/role/judged" {
        capabilities = ["create", "update"]
        required_parameters = ["token_ttl"]
        allowed_parameters = { "token_ttl" = ["1h"], "token_policies" = ["web*"], "bind_secret_id" = [] }
        denied_parameters = { "token_no_default_policy" = [] }
      }`)
    const ask = (body: string) => broker.ask('POST', 'auth/approle/role/judged', { token, body })
    t.equal((await ask('{"token_ttl":"1h","token_policies":"web-a"}')).status, 204)
    for (const body of [
      '{"token_ttl":"2h"}', '{"token_ttl":["1h","2h"]}', '{"TOKEN_TTL":"1h"}', '{"token_ttl":"1h","token_max_ttl":"9h"}', '{"token_ttl":"1h","policies":"admin"}',
      '{"token_ttl":"1h","token_policies":"admin"}', '{"token_ttl":"1h","token_no_default_policy":true}', '{"token_ttl":{"0":"1h"}}', '{"token_ttl":null}',
      '{"token_policies":"web-a"}', '{}', ''
    ]) t.equal((await ask(body)).text, refused, body)
    t.equal((await ask('{"token_ttl":"1h","token_ttl":"2h"}')).status, 400)
    t.equal((await broker.ask('POST', 'auth/approle/role/judged?token_ttl=1h', { token, body: {} })).text, refused, 'a query is no parameter of a write')
    const list = await ask('{"token_ttl":"1h","token_policies":["web-a","admin"]}')
    t.equal(list.text, refused, 'nor does a list hide what is in it')
  })

  t.test('SEC-033 SEC-244 SEC-242 SEC-231 every capability but sudo is not enough where sudo is needed, nor is sudo where nothing is built', async (t) => {
    const { client_token: token } = await broker.tokenFor(`path "*" { capabilities = ${everything} }`)
    const attempts: [string, string][] = [
      ['GET', 'sys/raw/core/keyring'], ['PUT', 'sys/raw/x'], ['LIST', 'sys/raw'], ['PUT', 'sys/seal'], ['PUT', 'sys/step-down'],
      ['PUT', 'sys/rotate'], ['POST', 'sys/rotate/keyring'], ['PUT', 'sys/audit/new'], ['GET', 'sys/audit'], ['DELETE', 'sys/audit/file'],
      ['POST', 'sys/remount'], ['PUT', 'sys/leases/revoke-force/aws'], ['PUT', 'sys/leases/revoke-prefix/aws'], ['PUT', 'sys/revoke-force/aws'],
      ['PUT', 'sys/revoke-prefix/aws'], ['LIST', 'sys/leases/lookup/aws'], ['GET', 'sys/leases'], ['POST', 'sys/config/cors'],
      ['GET', 'sys/config/cors'], ['PUT', 'sys/config/auditing/request-headers/x'], ['PUT', 'sys/plugins/catalog/auth/x'], ['GET', 'sys/auth/approle'],
      ['POST', 'sys/auth/other'], ['DELETE', 'sys/auth/approle'], ['POST', 'sys/auth/approle/tune'], ['LIST', 'auth/token/accessors']
    ]
    for (const [method, target] of attempts) {
      const { status } = await broker.ask(method, target, { token, ...(method === 'GET' || method === 'LIST' ? {} : { body: { type: 'approle', from: 'aws', to: 'b' } }) })
      t.equal(status, 403, `${method} ${target}`)
    }
    const revokeOrphan = await broker.ask('POST', 'auth/token/revoke-orphan', { token, body: { token } })
    t.match(revokeOrphan.body.errors, ['root or sudo privileges required to revoke and orphan'])
    for (const target of ['sys/raw/core/keyring', 'sys/generate-root/attempt', 'sys/rekey/init', 'sys/rekey-recovery-key/init', 'sys/rotate/root', 'sys/pprof', 'sys/plugins/catalog']) {
      t.equal((await broker.ask('GET', target)).status, 404, `${target} is not built`)
      t.equal((await broker.ask('GET', target, { token: null })).status, 403, `${target} without a token`)
      t.equal((await broker.ask('PUT', target, { token: null, body: {} })).status, 403, `${target} without a token`)
    }
  })

  t.test('rights that are asked about are those that are judged', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "aws/roles/*" { capabilities = ["read", "list"] }\npath "aws/roles/secret" { capabilities = ["deny"] }', { no_default_policy: true })
    const asked = await broker.must('POST', 'sys/capabilities', { body: { token, paths: ['aws/roles/a', 'aws/roles/secret', 'aws/config/root', 'sys/capabilities-self'] } })
    t.match(asked.body.data, { 'aws/roles/a': ['list', 'read'], 'aws/roles/secret': ['deny'], 'aws/config/root': ['deny'], 'sys/capabilities-self': ['deny'] })
    t.equal((await broker.ask('GET', 'aws/roles/ec2-only', { token })).status, 200)
    t.equal((await broker.ask('GET', 'aws/roles/secret', { token })).status, 403)
    t.equal((await broker.ask('DELETE', 'aws/roles/ec2-only', { token })).status, 403)
  })

  t.test('create is not update, where the broker can tell', async (t) => {
    const { client_token: creator } = await broker.tokenFor('path "auth/approle/role/once" { capabilities = ["create"] }')
    const { client_token: updater } = await broker.tokenFor('path "auth/approle/role/*" { capabilities = ["update"] }')
    t.equal((await broker.ask('POST', 'auth/approle/role/once', { token: updater, body: {} })).status, 403)
    t.equal((await broker.ask('POST', 'auth/approle/role/once', { token: creator, body: {} })).status, 204)
    t.equal((await broker.ask('POST', 'auth/approle/role/once', { token: creator, body: {} })).status, 403)
    t.equal((await broker.ask('POST', 'auth/approle/role/ONCE', { token: creator, body: {} })).status, 403, 'nor in another case')
    t.equal((await broker.ask('POST', 'auth/approle/role/once', { token: updater, body: {} })).status, 204)
  })

  t.test('SEC-258 every request has its two audit entries', async (t) => {
    t.strictSame(auditFaults(broker), [])
  })
})
