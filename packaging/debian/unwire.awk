# Who still asks outgate, and which postconf commands end that: for the removal of the package. awk.
#
# usage: { postconf -n; postconf -P; } | awk -v addresses="outgate/auth.sock outgate/milter.sock" -f unwire.awk
#
# Prints lines "ask SETTING" and "undo COMMAND". addresses: where outgate listens, in Postfix's words but for "unix:".

function inside_word(c) { return c ~ /[A-Za-z0-9._-]/ }
# Where an address of outgate stands in the value; 0 if none does.
function found(value, i, at, from) {
  for (i = 1; i <= count; i++) {
    from = 1
    while ((at = index(substr(value, from), address[i])) > 0) {
      at += from - 1
      if (!inside_word(substr(value, at - 1, at > 1)) && !inside_word(substr(value, at + length(address[i]), 1))) return at
      from = at + 1
    }
  }
  return 0
}
# The value without the entry around that place: its outermost braces, or its word; and without the word that leads it.
function without(value, at, i, c, depth, first, last) {
  first = 0
  for (i = 1; i < at; i++) {
    c = substr(value, i, 1)
    if (c == "{" && depth++ == 0) first = i
    if (c == "}" && --depth == 0) first = 0
  }
  if (first) {
    for (i = at; depth > 0 && i <= length(value); i++) {
      c = substr(value, i, 1)
      depth += (c == "{") - (c == "}")
    }
    last = i - 1
  } else {
    for (first = at; first > 1 && substr(value, first - 1, 1) !~ /[ \t,]/; first--);
    for (last = at; last < length(value) && substr(value, last + 1, 1) !~ /[ \t,]/; last++);
  }
  c = substr(value, 1, first - 1)
  sub(/check_policy_service[ \t,]*$/, "", c)
  value = c " " substr(value, last + 1)
  gsub(/[ \t]*,[ \t,]*/, ", ", value)
  gsub(/[ \t]+/, " ", value)
  gsub(/^[ ,]+|[ ,]+$/, "", value)
  return value
}
# As one word, which is all that postconf -P takes: commas separate as blanks do.
function tight(value) {
  gsub(/ *= */, "=", value)
  gsub(/[ ,]+/, ",", value)
  gsub(/[{],/, "{", value)
  gsub(/,[}]/, "}", value)
  return value
}
function quoted(text) { gsub(/\047/, "\047\\\047\047", text); return "\047" text "\047" }
BEGIN { count = split(addresses, address, " ") }
{
  cut = index($0, " = ")
  if (!cut) { cut = index($0, " ="); if (!cut) next }
  name = substr($0, 1, cut - 1)
  value = substr($0, cut + 3)
  parts = split(name, part, "/")
  setting = part[parts]
  service = parts == 3 ? part[1] "/" part[2] "/" : ""
  if (setting == "smtpd_sasl_auth_enable" && value == "yes") enabled[service] = 1
  if (setting == "smtpd_sasl_path") path[service] = found(value) ? "outgate" : "another"
  if (!(at = found(value))) next
  print "ask " $0
  rest = value
  while (at) { rest = without(rest, at); at = found(rest) }
  x = service == "" ? "postconf -X " : "postconf -PX "
  if (setting == "smtpd_sasl_path" || rest == "") print "undo " x name
  else if (service == "") print "undo postconf -e " quoted(name " = " rest)
  else if (rest ~ /[{][^}]*[{]/) print "undo # by hand, in master.cf: " name " = " rest
  else print "undo postconf -P " quoted(name "=" tight(rest))
}
END {
  # Without a checker of passwords, smtpd does not even greet where logins are on.
  for (service in path) if (path[service] == "outgate" && service != "") print "undo postconf -P " service "smtpd_sasl_auth_enable=no"
  if (path[""] == "outgate") {
    if (enabled[""]) print "undo postconf -e smtpd_sasl_auth_enable=no"
    for (service in enabled) if (service != "" && !(service in path)) print "undo postconf -P " service "smtpd_sasl_auth_enable=no"
  }
}
