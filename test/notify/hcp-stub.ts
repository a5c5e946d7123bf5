import type { Teardown } from '../helpers/redis.ts'
import { startReceiver, type Answer, type Received } from './receiver.ts'

const mediaType = 'application/vnd.api+json'

export interface Variable {
  readonly id: string
  readonly key: string
  readonly category: string
  readonly value: string
  readonly sensitive: boolean
  readonly hcl: boolean
}

export interface Run { readonly message: string, readonly autoApply: unknown }

/** What a request came to instead of its usual answer. `lost`: it was done, and the connection is cut before the answer. */
export type Fault = { readonly kind: 'answer', readonly answer: Answer } | { readonly kind: 'lost' } | null

interface Document {
  readonly data?: { readonly type?: string, readonly id?: string, readonly attributes?: Record<string, unknown>, readonly relationships?: { readonly workspace?: { readonly data?: { readonly id?: string } } } }
}

/** The part of HCP Terraform's API that keeps variables of one workspace and starts runs, on a real socket. */
export async function startHcp (t: Teardown, { token = 'CNRYtoken', workspaceId = 'ws-abc123' } = {}) {
  const receiver = await startReceiver(t)
  const variables: Variable[] = []
  const runs: Run[] = []
  const log: string[] = []
  const faults: string[] = []
  let ids = 0
  const state = { pageSizeMax: 100, fault: (_method: string, _path: string): Fault | Promise<Fault> => null }

  const answer = (status: number, document: unknown): Answer => ({ status, headers: { 'content-type': mediaType }, body: JSON.stringify(document) })
  const refuse = (status: number) => answer(status, { errors: [{ status: String(status), title: 'CNRYanswer' }] })
  const shown = ({ id, key, category, value, sensitive, hcl }: Variable) =>
    ({ id, type: 'vars', attributes: { key, category, value: sensitive ? null : value, sensitive, hcl, 'version-id': 'v' } })

  function page (items: readonly unknown[], query: URLSearchParams): Answer {
    const size = Math.min(state.pageSizeMax, Number(query.get('page[size]') ?? 20))
    const number = Number(query.get('page[number]') ?? 1)
    const pages = Math.max(1, Math.ceil(items.length / size))
    return answer(200, {
      data: items.slice((number - 1) * size, number * size),
      meta: { pagination: { 'current-page': number, 'next-page': number < pages ? number + 1 : null, 'total-pages': pages, 'total-count': items.length } }
    })
  }

  function handle (method: string, path: string, query: URLSearchParams, { data }: Document): Answer {
    const own = `/api/v2/workspaces/${workspaceId}`
    const attributes = data?.attributes ?? {}
    if (path === own && method === 'GET') return answer(200, { data: { id: workspaceId, type: 'workspaces' } })
    if (path === `${own}/vars` && method === 'GET') return page(variables.map(shown), query)
    if (path === `${own}/runs` && method === 'GET') return page(runs.toReversed().map(({ message }, n) => ({ id: `run-${n}`, type: 'runs', attributes: { message } })), query)
    if (path === `${own}/vars` && method === 'POST') {
      const { key, category, value, sensitive, hcl } = attributes
      if (data?.type !== 'vars' || variables.some((each) => each.key === key && each.category === category) || !/^[A-Za-z_]/.test(String(key))) return refuse(422)
      const made = { id: `var-${++ids}`, key: String(key), category: String(category), value: String(value), sensitive: sensitive === true, hcl: hcl === true }
      variables.push(made)
      return answer(201, { data: shown(made) })
    }
    const at = variables.findIndex(({ id }) => path === `${own}/vars/${id}`)
    const found = variables[at]
    if (found !== undefined && method === 'PATCH') {
      if (data?.type !== 'vars' || data.id !== found.id) return refuse(422)
      variables[at] = { ...found, ...attributes as Partial<Variable> }
      return answer(200, { data: shown(found) })
    }
    if (path === '/api/v2/runs' && method === 'POST') {
      if (data?.type !== 'runs' || data.relationships?.workspace?.data?.id !== workspaceId) return refuse(422)
      runs.push({ message: String(attributes['message']), autoApply: attributes['auto-apply'] })
      return answer(201, { data: { id: `run-${runs.length}`, type: 'runs' } })
    }
    return refuse(404)
  }

  function check ({ method, headers, text }: Received): void {
    const expected = ['accept', 'authorization', 'connection', 'host', 'user-agent', ...text === '' ? [] : ['content-length', 'content-type']].sort()
    if (JSON.stringify(Object.keys(headers).sort()) !== JSON.stringify(expected)) faults.push(`${method} has the headers ${Object.keys(headers).join(' ')}`)
    if (headers.accept !== mediaType) faults.push(`accept is ${String(headers.accept)}`)
    if (text !== '' && headers['content-type'] !== mediaType) faults.push(`content-type is ${String(headers['content-type'])}`)
  }

  receiver.answer = async (received) => {
    const { method, path: target, headers, text } = received
    const { pathname, searchParams } = new URL(target, 'http://stub')
    log.push(`${method} ${pathname.replace(`/api/v2/workspaces/${workspaceId}`, '').replace('/api/v2', '')}`)
    check(received)
    const fault = await state.fault(method, pathname)
    if (fault?.kind === 'answer') return fault.answer
    if (headers.authorization !== `Bearer ${token}`) return refuse(401)
    const done = handle(method, pathname, searchParams, text === '' ? {} : JSON.parse(text) as Document)
    return fault?.kind === 'lost' ? null : done
  }

  return { address: `http://127.0.0.1:${receiver.port}`, token, workspaceId, variables, runs, log, faults, state, refuse }
}

export type HcpStub = Awaited<ReturnType<typeof startHcp>>
