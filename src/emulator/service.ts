import { AuthenticationError, AwsError } from './aws-error.ts'
import type { Operations } from './call.ts'
import type { Incoming } from './http/incoming.ts'
import type { Params } from './http/params.ts'
import { escapeXml, renderJson, renderXml, type Tree } from './http/tree.ts'

/** One of AWS's services: its operations and how it writes answers and errors. */
export interface Service {
  /** As in the credential scope. */
  readonly name: string
  /** The API version that belongs to it; null when requests carry none. */
  readonly version: string | null
  readonly eventSource: string
  readonly operations: Operations
  /** The operation that a request names, or '' when it names none. */
  actionOf (request: Incoming, params: Params): string
  /** How the service refuses an operation that it does not have. */
  unknownAction (action: string, version: string | undefined): AwsError
  /** How the service refuses when there are too many requests. */
  readonly throttled: AwsError
  renderResult (action: string, result: Tree, requestId: string, asJson: boolean): Rendered
  renderError (error: AwsError, requestId: string, asJson: boolean): Rendered
}

/** An answer as it goes out. */
export interface Rendered {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

/** Operations whose result is an empty structure, which clients want to see; others without a result have none. */
const emptyResults: ReadonlySet<string> = new Set(['UpdateRole'])

/** How the query protocol of STS and IAM writes: `<XResponse><XResult>…`, lists of `member`. */
export function queryProtocol (
  namespace: string
): Pick<Service, 'renderResult' | 'renderError' | 'actionOf' | 'unknownAction' | 'throttled'> {
  const style = { item: 'member', milliseconds: false }
  return {
    actionOf: (_request, params) => params.get('Action') ?? '',
    unknownAction: (action, version = 'NO_VERSION_SPECIFIED') => new AwsError(400, 'InvalidAction',
      `Could not find operation ${action.slice(0, 128)} for version ${version.slice(0, 32)}`),
    throttled: new AwsError(400, 'Throttling', 'Rate exceeded'),
    renderResult (action, result, requestId, asJson) {
      if (asJson) {
        return json(200, { [`${action}Response`]: {
          [`${action}Result`]: renderJson(result), ResponseMetadata: { RequestId: requestId }
        } })
      }
      const content = renderXml(result, style)
      const body = content === '' && !emptyResults.has(action) ? '' : `<${action}Result>${content}</${action}Result>`
      return xml(200, `<${action}Response xmlns="${namespace}">${body}` +
        `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`)
    },
    renderError ({ status, code, message }, requestId, asJson) {
      const type = status >= 500 ? 'Receiver' : 'Sender'
      if (asJson) return json(status, { Error: { Code: code, Message: message, Type: type }, RequestId: requestId })
      return xml(status, `<ErrorResponse xmlns="${namespace}"><Error><Type>${type}</Type><Code>${code}</Code>` +
        `<Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`)
    }
  }
}

/** XML with its content type. */
export function xml (status: number, text: string): Rendered {
  return { status, contentType: 'text/xml', text }
}

function json (status: number, value: unknown): Rendered {
  return { status, contentType: 'application/json', text: JSON.stringify(value) }
}

/** A code and words of a service's own for requests that nobody is known to have sent. */
export function translated (
  error: AwsError, table: Partial<Record<AuthenticationError['problem'], AwsError>>
): AwsError {
  return error instanceof AuthenticationError ? table[error.problem] ?? error : error
}
