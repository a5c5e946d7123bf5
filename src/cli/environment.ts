import type { Json, JsonObject } from '../core/json.ts'
import { Failure } from './failure.ts'
import { plainText } from './present.ts'
import { showHidden } from './screen.ts'

/** Variables of an environment, in order. */
export type Variables = readonly (readonly [name: string, value: string])[]

const wellFormed = /^[A-Z_][A-Z0-9_]*$/

/** Names that make programs load, run, trust or send elsewhere what their value says, by what reads them (SEC-343). */
const harmful = new RegExp(`^(?:${[
  // shells
  'PATH', 'HOME', 'SHELL', 'IFS', 'ENV', 'BASH_.*', 'SHELLOPTS', 'BASHOPTS', 'PS[0-4]', 'PROMPT_COMMAND', 'CDPATH', 'GLOBIGNORE', 'FPATH', 'ZDOTDIR',
  // the loader and the C library
  'LD_.*', 'DYLD_.*', 'GCONV_PATH', 'LOCPATH', 'NLSPATH', 'MALLOC_.*', 'GLIBC_TUNABLES', 'RES_OPTIONS', 'HOSTALIASES', 'LOCALDOMAIN', 'TMPDIR', 'TERMINFO.*', 'TERMCAP',
  // interpreters
  'NODE_(?!ENV$).*', 'NPM_CONFIG_.*', 'PYTHON.*', 'PERL[A-Z0-9]*(?:_.*)?', 'RUBY(?:OPT|LIB)', 'GEM_(?:HOME|PATH)', 'BUNDLE_.*', '_?JAVA_.*', 'JDK_JAVA_OPTIONS', 'CLASSPATH',
  '(?:MAVEN|GRADLE|ANT|SBT)_(?:OPTS|ARGS|HOME)', 'ERL_.*', '(?:PIP|UV|YARN)_(?!(?:.*_)?(?:TOKEN|USERNAME|PASSWORD)$).*',
  'LUA_.*', 'PHP(?:RC|_INI_SCAN_DIR)', 'GO(?:PATH|ROOT|FLAGS|PROXY|TOOLCHAIN|BIN|ENV)', 'CARGO_.*', 'RUST(?:C|FLAGS|_.*)', 'DOTNET_.*', 'CORECLR_.*',
  // tools that run other programs
  'EDITOR', 'VISUAL', 'PAGER', 'MANPAGER', 'LESS(?:OPEN|CLOSE)', 'BROWSER', 'GIT_(?!TOKEN$|USER$|USERNAME$|PASSWORD$).*', 'SSH_(?:ASKPASS.*|AUTH_SOCK)', 'SUDO_.*', 'MAKE(?:FLAGS|FILES)', 'CC', 'CXX', 'TAR_OPTIONS', '(?:RSYNC|CVS)_RSH', 'INPUTRC', 'XDG_.*',
  // networks and trust
  '(?:HTTPS?|ALL|FTP|NO)_PROXY', 'SSL_.*', 'SSLKEYLOGFILE', 'CURL_(?:CA_BUNDLE|HOME)', 'WGETRC', 'NETRC', 'KRB5_.*', 'REQUESTS_CA_BUNDLE', 'OPENSSL_.*',
  // clouds and runners
  'AWS_(?!ACCESS_KEY_ID$|SECRET_ACCESS_KEY$|SESSION_TOKEN$|(?:DEFAULT_)?REGION$).*', 'TF_(?!VAR_).*', 'ANSIBLE_.*', 'HELM_.*', 'CLOUDSDK_.*', 'TERRAGRUNT_.*', 'TG_.*', 'KUBECONFIG', 'DOCKER_(?:HOST|CONFIG|CONTEXT|CERT_PATH|TLS.*)',
  'GITHUB_(?!TOKEN$).*', 'RUNNER_.*', 'ACTIONS_.*', 'LATCHKEY_.*', '(?:VAULT|BAO)_(?!TOKEN$).*'
].join('|')})$`)

/**
 * Holds names and values to what every shell and system call takes, and names that do harm to those that
 * were allowed.
 *
 * @throws Failure `usage`, which tells the name and never the value.
 */
export function checkVariables (variables: Variables, allowed: readonly string[]): Variables {
  const names = new Set<string>()
  for (const [name, value] of variables) {
    const shown = showHidden(name.slice(0, 60))
    if (!wellFormed.test(name)) throw new Failure('usage', `${shown} is no name of a variable: capitals, digits and _ are`)
    if (harmful.test(name) && !allowed.includes(name)) {
      throw new Failure('usage', `a variable ${shown} changes how programs work: --allow-name ${shown} says that this is meant`)
    }
    if (value.includes('\0') || !value.isWellFormed()) throw new Failure('usage', `the value of ${shown} holds what no variable can`)
    if (names.has(name)) throw new Failure('usage', `${shown} is given twice`)
    names.add(name)
  }
  return variables
}

/** The fields of a secret as variables. What is no text is JSON. */
export function variablesOf (secret: JsonObject): Variables {
  return Object.entries(secret).map(([name, value]: [string, Json]) => [name, plainText(value)] as const)
}

/** Lines for a POSIX shell. In single quotes everything but a single quote stands for itself (POSIX.1-2024, XCU 2.2.2). */
export function shellText (variables: Variables): string {
  return variables.map(([name, value]) => `export ${name}='${value.replaceAll('\'', '\'\\\'\'')}'\n`).join('')
}
