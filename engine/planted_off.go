//go:build !planted

package engine

// plant would hold a bug that was planted. Programs have none.
type plant struct{}

// planted says whether the reducer is to make this mistake. It costs nothing where none can be planted.
func (plant) planted(int) bool { return false }
