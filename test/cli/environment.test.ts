import { execFileSync } from 'node:child_process'
import t from 'tap'
import { checkVariables, shellText } from '../../src/cli/environment.ts'

const values = [
  'plain', '', ' spaces  inside ', 'it\'s', '\'', '\'\'\'', '"double"', '$(touch /tmp/pwned)', '`id`', '${HOME}', '$HOME', '\\', '\\\'', 'a\nb\n', '\n', '\r\n',
  '\t', '!history', '*', '~', '; exit 1', '#comment', '&& false', 'ünïcødé 键 🔑', '-n', '\u0001\u001b[31m', 'x'.repeat(100_000)
]

t.test('SEC-342 every value comes out of sh and bash as it went in, and nothing of it is run', async (t) => {
  const variables = values.map((value, i) => [`VALUE_${i}`, value] as const)
  const text = shellText(checkVariables(variables, []))
  const print = variables.map(([name]) => `printf '%s\\0' "$${name}"`).join('\n')
  for (const shell of ['sh', 'bash', 'dash']) {
    for (const way of [`${text}${print}`, `eval "$TEXT"\n${print}`]) {
      // The text is too long for one variable of the environment, so the second way reads it from a file.
      const script = way.startsWith('eval') ? `TEXT=$(cat <<'END_OF_TEXT'\n${text}\nEND_OF_TEXT\n)\n${way}` : way
      const out = execFileSync(shell, { input: script, env: { HOME: '/wrong' }, maxBuffer: 10 * 1024 * 1024 }).toString('utf8')
      t.strictSame(out.split('\0').slice(0, -1), values, shell)
    }
  }
})

t.test('SEC-342 names that are none, and values that no variable can hold, are refused without showing the value', async (t) => {
  for (const name of ['', 'lower', 'A-B', '1A', 'A B', 'A=B', 'A;id', 'Ä', 'A\nB', '$(id)', '__proto__', 'constructor']) {
    t.throws(() => checkVariables([[name, 'CNRYvalue']], [name]), /^(?!.*CNRY).*is no name of a variable/, name)
  }
  for (const value of ['a\0b', '\0', 'a\ud800']) t.throws(() => checkVariables([['NAME', value]], []), /holds what no variable can/)
  t.throws(() => checkVariables([['A', '1'], ['A', '2']], []), /given twice/)
})

t.test('SEC-343 a secret sets no variable that changes how programs work, unless that is meant', async (t) => {
  const harmful = [
    'PATH', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'NODE_OPTIONS', 'BASH_ENV', 'ENV', 'IFS', 'PS4', 'SHELLOPTS', 'PROMPT_COMMAND', 'HOME', 'PYTHONPATH', 'PYTHONSTARTUP',
    'PERL5OPT', 'RUBYOPT', 'JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS', 'GIT_SSH_COMMAND', 'GIT_CONFIG_COUNT', 'SSH_ASKPASS', 'HTTPS_PROXY', 'HTTP_PROXY', 'SSL_CERT_FILE', 'SSLKEYLOGFILE',
    'NODE_EXTRA_CA_CERTS', 'NODE_TLS_REJECT_UNAUTHORIZED', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_STS', 'AWS_CONFIG_FILE', 'AWS_CA_BUNDLE', 'AWS_PROFILE', 'TF_CLI_ARGS', 'TF_CLI_CONFIG_FILE',
    'GITHUB_ENV', 'GITHUB_PATH', 'LATCHKEY_ADDR', 'VAULT_ADDR', 'NPM_CONFIG_REGISTRY', 'DOCKER_HOST', 'KUBECONFIG', 'GLIBC_TUNABLES', 'EDITOR', 'PAGER', 'GOFLAGS',
    'MAVEN_OPTS', 'PIP_INDEX_URL', 'UV_INDEX', 'ANSIBLE_CONFIG', 'HELM_PLUGINS', 'MAKEFILES', 'CC', 'TAR_OPTIONS', 'XDG_CONFIG_HOME', 'NETRC', 'KRB5_CONFIG'
  ]
  for (const name of harmful) {
    t.throws(() => checkVariables([[name, 'x']], ['OTHER']), new RegExp(`--allow-name ${name} says that this is meant`), name)
    t.doesNotThrow(() => checkVariables([[name, 'x']], [name]), name)
  }
  const usual = ['DB_PASSWORD', 'API_KEY', 'GITHUB_TOKEN', 'NPM_TOKEN', 'TF_VAR_PASSWORD', 'DOCKER_PASSWORD', 'AWS_ACCESS_KEY_ID', 'AWS_REGION', 'NODE_ENV', 'GOOGLE_API_KEY', 'PGPASSWORD', 'MAVEN_PASSWORD', 'PIP_PASSWORD', 'UV_PUBLISH_TOKEN', '_X']
  for (const name of usual) t.doesNotThrow(() => checkVariables([[name, 'x']], []), name)
})
