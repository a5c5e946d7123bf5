import { createSigner, type SignedPost } from '../engines/aws/sigv4.ts'

/** A parsed answer, or part of one. */
export type Body = { readonly [name: string]: unknown }

/** What came of a request; the body is an empty object where there was none. */
export interface Answer { readonly status: number, readonly body: Body, readonly headers: Headers }

export interface Request {
  /** Below `/v1/`. */
  readonly target: string
  readonly token: string | null
  readonly body?: Body | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const limitMs = 15_000

/** Asks a broker. @throws when no whole answer comes within 15 s. */
export async function send (address: string, method: string, request: Request): Promise<Answer> {
  const { target, token, body, headers } = request
  const response = await fetch(`${address}/v1/${target}`, {
    method,
    redirect: 'error',
    signal: AbortSignal.timeout(limitMs),
    headers: { ...token !== null && { 'x-vault-token': token }, ...headers },
    ...body !== undefined && { body: JSON.stringify(body) }
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) as Body }
}

/** A value inside of a body; undefined where it is not there. */
export function at (body: Body, ...names: readonly string[]): unknown {
  const isBody = (value: unknown): value is Body => typeof value === 'object' && value !== null
  return names.reduce<unknown>((here, name) => isBody(here) ? here[name] : undefined, body)
}

/** A text inside of an answer; empty where it is not there. */
export function textAt ({ body }: Pick<Answer, 'body'>, ...names: readonly string[]): string {
  const value = at(body, ...names)
  return typeof value === 'string' ? value : ''
}

/** Credentials of AWS. */
export type Keys = SignedPost['credentials']

/** The region that the development start sets. */
const region = 'us-east-1'

/** Calls a query API of AWS with a form. */
export async function callAws (endpoint: string, service: string, body: string, credentials: Keys) {
  const contentType = 'application/x-www-form-urlencoded'
  const { host } = new URL(endpoint)
  const signed = createSigner({ region, service }).sign({ host, contentType, body, credentials, nowMs: Date.now() })
  const response = await fetch(endpoint, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(limitMs),
    headers: { 'content-type': contentType, ...signed },
    body
  })
  return { status: response.status, text: await response.text() }
}
