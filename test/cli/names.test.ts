import t from 'tap'
import { createNames } from '../../src/cli/names.ts'
import { CallFailure } from '../../src/cli/failure.ts'
import type { Call } from '../../src/cli/client.ts'
import { until } from '../helpers/redis.ts'
import { startBench } from './rig.ts'

t.setTimeout(120_000)

t.test('mounts whose names rotate, by their own paths', async (t) => {
  const bench = await startBench(t)
  const { broker, run } = bench
  const policy = ['sys/latchkey/resolve/vault', 'sys/latchkey/resolve/deep/er', 'sys/latchkey/resolve/aws', 'aws/creds/ec2-only'].map((place) => `path "${place}" { capabilities = ["read"] }`)
  const { client_token: token } = await broker.tokenFor([...policy, 'path "vault/*" { capabilities = ["create", "read", "update", "delete", "list"] }',
    'path "deep/er/*" { capabilities = ["read"] }'].join('\n'))
  const env = { LATCHKEY_TOKEN: token }
  for (const mount of ['vault', 'deep/er']) {
    await broker.must('POST', `sys/mounts/${mount}`, { body: { type: 'kv' } })
    await broker.must('POST', `${mount}/a/b`, { body: { value: `of ${mount}` } })
    await broker.must('POST', `sys/latchkey/rotation/${mount}`, { body: { stable_path: 'never', grace_period: '10m' } })
  }
  await broker.must('POST', 'sys/latchkey/rotation/aws', { body: { stable_path: 'never', grace_period: '10m' } })
  const nameOf = async (mount: string) => String((await broker.must('GET', `sys/latchkey/resolve/${mount}`)).body.data?.['name'])

  await t.test('read, list, write and delete find the present name, without a refusal', async (t) => {
    const before = broker.audit().length
    t.match(await run(['read', 'vault/a/b', '--field', 'value'], { env }), { code: 0, out: 'of vault' })
    await broker.must('POST', 'sys/latchkey/rotation/vault/rotate', { body: { grace: 0 } })
    t.match(await run(['read', 'vault/a/b', '--field', 'value'], { env }), { code: 0, out: 'of vault' })
    t.match(await run(['read', 'deep/er/a/b', '--field', 'value'], { env }), { code: 0, out: 'of deep/er' })
    t.match(await run(['write', 'vault/c'], { env, input: '{"value":"new"}' }), { code: 0, words: '' })
    t.match(await run(['list', 'vault'], { env }), { code: 0, out: 'a/\nc\n' })
    t.equal((await run(['delete', 'vault/c'], { env })).code, 0)
    t.match(await run(['read', 'vault/c'], { env }), { code: 4 })
    const { out } = await run(['read', 'aws/creds/ec2-only'], { env })
    t.match(out, /^access_key +ASIA/m)
    t.notMatch(broker.output(), /a former name of a mount was used/)
    const refused = broker.audit().slice(before).filter((entry) => entry.type === 'response' && 'error' in entry)
    t.strictSame(refused.map(({ request }) => request.path), ['vault/c'], 'only what is not there was not found')
  })

  await t.test('SEC-222 errors tell own paths, and no name that rotates', async (t) => {
    const name = await nameOf('vault')
    for (const words of [['read', 'vault/none'], ['read', 'deep/er/none'], ['write', 'deep/er/none']]) {
      const { code, words: said } = await run(words, { env, input: '{"a":"b"}' })
      t.ok(code === 3 || code === 4)
      t.notMatch(said, name)
      t.match(said, words[1])
    }
  })

  await t.test('resolve prints the name; --watch prints each new one as it comes', async (t) => {
    t.match(await run(['resolve', 'vault'], { env }), { code: 0, out: `${await nameOf('vault')}\n` })
    t.match(await run(['resolve', 'none'], { env }), { code: 3 })
    t.match(await run(['resolve', 'none'], { env: { LATCHKEY_TOKEN: 'test-root-token-of-development' } }), { code: 4 })
    const watching = bench.start(['resolve', 'vault', '--watch'], { env })
    const names = [await nameOf('vault')]
    await until('the first', () => watching.out() === `${names[0]}\n`)
    for (let n = 0; n < 3; n++) {
      await broker.must('POST', 'sys/latchkey/rotation/vault/rotate')
      names.push(await nameOf('vault'))
      await until('the next', () => watching.out().trim().split('\n').length === names.length)
    }
    t.strictSame(watching.out(), `${names.join('\n')}\n`)
    await broker.must('POST', 'auth/token/revoke', { body: { token } })
    await broker.must('POST', 'sys/latchkey/rotation/vault/rotate')
    t.match(await watching.ended, { code: 4 }, 'and ends with its token')
  })

  await t.test('where the resolver refuses, the own path is used', async (t) => {
    await broker.must('POST', 'sys/mounts/plain', { body: { type: 'kv' } })
    await broker.must('POST', 'plain/x', { body: { value: 'plain' } })
    const { client_token: plain } = await broker.tokenFor('path "plain/*" { capabilities = ["read"] }')
    t.match(await run(['read', 'plain/x', '--field', 'value'], { env: { LATCHKEY_TOKEN: plain } }), { code: 0, out: 'plain' })
    const once = await broker.tokenFor('path "plain/*" { capabilities = ["read"] }', { num_uses: 1 })
    t.match(await run(['read', 'plain/x', '--field', 'value', '--no-resolve'], { env: { LATCHKEY_TOKEN: once.client_token } }), { code: 0, out: 'plain' },
      '--no-resolve takes no use of a token besides')
  })
})

/** A broker that tells one name after another, of which only the last answers. */
function rotating (names: readonly string[]) {
  const asked: string[] = []
  let told = 0
  const client = {
    async ask ({ path }: Call) {
      asked.push(path.join('/'))
      const facts = { status: 404, isUnsent: false, retryAfterSeconds: null }
      if (path[2] === 'resolve') {
        const name = names[Math.min(told++, names.length - 1)] ?? ''
        return { body: { data: { name, revision: `r.${told}` } } }
      }
      if (path[0] !== names.at(-1)) throw new CallFailure('absent', 'no such path', facts)
      return { body: { data: {} } }
    }
  }
  return { asked, client }
}

t.test('a name that stops answering between two looks is asked for once more, and no name is tried twice', async (t) => {
  const read = (names: readonly string[]) => {
    const { asked, client } = rotating(names)
    const found = createNames({ client, hide: () => {}, isResolving: true }).at('aws', 'token', (name) =>
      client.ask({ method: 'GET', what: '', path: [...name, 'creds'], token: 'token', repeat: 'unsent' }))
    return { asked, found }
  }
  const twice = read(['one', 'two'])
  await twice.found
  t.strictSame(twice.asked, ['sys/latchkey/resolve/aws', 'one/creds', 'sys/latchkey/resolve/aws', 'two/creds'])
  const never = read(['one', 'two', 'three'])
  await t.rejects(never.found, { name: 'CallFailure', kind: 'absent' })
  t.equal(never.asked.length, 4)
  const { asked, client } = rotating(['right'])
  const names = createNames({ client, hide: () => {}, isResolving: true })
  await t.rejects(names.at('aws', 'token', () => client.ask({ method: 'GET', what: '', path: ['wrong'], token: 'token', repeat: 'unsent' })), { name: 'CallFailure', kind: 'absent' })
  t.equal(asked.filter((path) => path === 'wrong').length, 1, 'the same name is not tried again')
})
