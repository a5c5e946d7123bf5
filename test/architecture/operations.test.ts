import t from 'tap'
import { auditFaults, startBroker, type TestBroker } from '../helpers/broker.ts'

/** Mounts of every kind there is, by the path that requests have. */
const mounts = ['sys', 'auth/token', 'cubbyhole', 'auth/approle', 'aws', 'kv1', 'kv2']

/** What answers without a token, and nothing else; `sys/init` and `sys/unseal` tell the state. */
const open = [
  'GET sys/health', 'HEAD sys/health', 'GET sys/seal-status', 'HEAD sys/seal-status', 'GET sys/leader', 'HEAD sys/leader',
  'GET sys/init', 'HEAD sys/init', 'PUT sys/init', 'POST sys/init', 'PUT sys/unseal', 'POST sys/unseal',
  'PUT auth/approle/login', 'POST auth/approle/login', 'GET sys/internal/ui/mounts', 'HEAD sys/internal/ui/mounts'
]
/** Served without a token and about a wrapping token, of which there is none here. */
const ofWrapping = [
  'GET sys/wrapping/lookup', 'HEAD sys/wrapping/lookup', 'PUT sys/wrapping/lookup', 'POST sys/wrapping/lookup',
  'PUT sys/wrapping/unwrap', 'POST sys/wrapping/unwrap', 'PUT sys/wrapping/rewrap', 'POST sys/wrapping/rewrap'
]
const methods = ['GET', 'HEAD', 'LIST', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'HELP', 'QUERY']

interface Route { readonly path: string, readonly summary: string, readonly target: string }

/** The routes of a mount, as its help tells them. */
async function routesOf (broker: TestBroker, mount: string): Promise<Route[]> {
  const help = String((await broker.must('GET', `${mount}?help=1`)).body['help'])
  return [...help.matchAll(/^ {4}\^(.*)\$\n {8}(.*)$/gm)].map(([, path = '', summary = '']) => ({
    path,
    summary,
    target: path === '' ? mount : `${mount}/${path.replace(/\(\?P<\w+>\[\^\/\]\+\)/g, 'some').replace(/\(\?P<\w+>\.\+\)/g, 'some/more')}`
  }))
}

t.test('all operations', async (t) => {
  const broker = await startBroker(t)
  for (const [path, version] of [['kv1', '1'], ['kv2', '2']] as const) {
    await broker.must('POST', `sys/mounts/${path}`, { body: { type: 'kv', options: { version } } })
  }
  const routes = new Map<string, Route[]>()
  for (const mount of mounts) routes.set(mount, await routesOf(broker, mount))
  const all = [...routes.values()].flat()

  t.test('each has a summary', async (t) => {
    for (const [mount, list] of routes) t.ok(list.length > 0, `${mount} has ${list.length} routes`)
    for (const { summary, target } of all) t.match(summary, /^[A-Z\u0060].{8,}/, target)
  })

  t.test('SEC-230 SEC-305 SEC-258 without a token only the listed ones answer, by any method', async (t) => {
    const answering: string[] = []
    const status = ['health', 'seal-status', 'leader', 'init', 'unseal'].map((name) => `sys/${name}`)
    for (const target of [...status, ...all.map((route) => route.target)]) {
      await Promise.all(methods.map(async (method) => {
        const withBody = ['PUT', 'POST', 'PATCH'].includes(method)
        const { status, text } = await broker.ask(method, target, {
          token: null,
          ...(withBody && { body: method === 'PATCH' || target !== 'sys/unseal' ? {} : { reset: true } }),
          ...(method === 'PATCH' && { headers: { 'content-type': 'application/merge-patch+json' } })
        })
        const isRefused = [403, 405].includes(status) || (status === 400 && ['TRACE', 'QUERY'].includes(method))
        if (!isRefused || (text !== '' && !/^\{"errors":\[("permission denied"|"unsupported operation")?\]\}$/.test(text))) answering.push(`${method} ${target}`)
      }))
    }
    t.strictSame(answering.filter((line) => !open.includes(line) && !ofWrapping.includes(line)), [], 'nothing else answers')
    t.strictSame(open.filter((line) => !answering.includes(line) && !/HEAD/.test(line)), [], 'and all of these do')
    t.strictSame(auditFaults(broker), [], 'each is audited, once and once')
  })

  t.test('SEC-230 a token that is none opens as little', async (t) => {
    const answers = await Promise.all(all.map(({ target }) => broker.ask('GET', target, { token: 'no-such-token' })))
    const served = answers.flatMap(({ status }, i) => status === 403 ? [] : [`${status} ${all[i]?.target ?? ''}`])
    t.strictSame(served.filter((line) => !/sys\/wrapping\/lookup|sys\/internal\/ui/.test(line)), ['405 auth/approle/login'].filter((line) => served.includes(line)))
  })

  t.test('SEC-033 a token without policies opens none of them', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "nothing" { capabilities = ["read"] }', { no_default_policy: true })
    const served: string[] = []
    for (const { target } of all) {
      for (const method of ['GET', 'LIST', 'PUT', 'DELETE']) {
        const { status } = await broker.ask(method, target, { token, ...(method === 'PUT' && { body: {} }) })
        if (status !== 403) served.push(`${method} ${target} ${status}`)
      }
    }
    t.strictSame(served.filter((line) => !/sys\/wrapping\/|sys\/internal\/ui|approle\/login/.test(line)), [])
  })
})
